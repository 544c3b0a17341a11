"""signing_keys: from when a key signs, so that webhook keys can be announced; that was when it was made so far."""

import sqlalchemy as sa
from alembic import op

from portico.db.schema import Instant

revision = '0017'
down_revision = '0016'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('signing_keys', sa.Column('active_from', Instant(), nullable=True))
    op.execute('UPDATE signing_keys SET active_from = created_at')
    with op.batch_alter_table('signing_keys', schema=None) as batch_op:
        batch_op.alter_column('active_from', existing_type=Instant(), nullable=False)


def downgrade() -> None:
    # The code before this migration keeps webhook keys in a file, and the date of a key is when it signs.
    op.execute("DELETE FROM signing_keys WHERE purpose = 'webhook'")
    op.execute('UPDATE signing_keys SET created_at = active_from')
    with op.batch_alter_table('signing_keys', schema=None) as batch_op:
        batch_op.drop_column('active_from')
