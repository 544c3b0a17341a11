"""The beginning that the jtis of related tokens share is `grant_id`; the column was called `family`."""

from alembic import op

revision = '0016'
down_revision = '0015'
branch_labels = None
depends_on = None


def upgrade() -> None:
    _rename('family', 'grant_id')


def downgrade() -> None:
    _rename('grant_id', 'family')


def _rename(old: str, new: str) -> None:
    for table in ('participant_tokens', 'revoked_tokens'):
        op.alter_column(table, old, new_column_name=new)
