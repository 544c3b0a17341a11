"""Jobs that convert mjr files are of the kind `convert_recording`, which was called `finish_recording`."""

from alembic import op

revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None


def upgrade() -> None:
    _rename('finish_recording', 'convert_recording')


def downgrade() -> None:
    _rename('convert_recording', 'finish_recording')


def _rename(old: str, new: str) -> None:
    # Behind an @ may stand the id of the node that has the file.
    op.execute(f"UPDATE jobs SET kind = '{new}' || substr(kind, {len(old) + 1}) WHERE kind = '{old}' OR kind LIKE '{old}@%'")
