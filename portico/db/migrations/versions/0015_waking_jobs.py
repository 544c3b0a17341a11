"""jobs: what a job waits for, and whether it was woken, in place of a due time of the year 2000."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from portico.db.schema import Instant

revision = '0015'
down_revision = '0014'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('jobs', sa.Column('waits_for', sa.String(length=36), nullable=True))
    op.add_column('jobs', sa.Column('woken', sa.Boolean(), server_default=sa.false(), nullable=False))
    present = sa.text('waits_for IS NOT NULL')
    op.create_index('ix_jobs_waits_for', 'jobs', ['waits_for'], sqlite_where=present, postgresql_where=present)
    op.execute(
        "UPDATE jobs SET waits_for = (SELECT CAST(session_id AS VARCHAR(36)) FROM room_compositions "
        "WHERE CAST(room_compositions.id AS VARCHAR(36)) = jobs.subject AND status = 'enqueued') WHERE kind = 'compose'"
    )
    op.execute("UPDATE jobs SET woken = (leased_until IS NOT NULL), due_at = created_at WHERE due_at < '2001-01-01'")


def downgrade() -> None:
    # The date by which the code before this migration recognises a job that was woken while it ran.
    woken_date = sa.bindparam('woken_date', datetime(2000, 1, 1, tzinfo=UTC), Instant())
    op.execute(sa.text('UPDATE jobs SET due_at = :woken_date WHERE woken AND leased_until IS NOT NULL').bindparams(woken_date))
    op.drop_index('ix_jobs_waits_for', 'jobs')
    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.drop_column('woken')
        batch_op.drop_column('waits_for')
