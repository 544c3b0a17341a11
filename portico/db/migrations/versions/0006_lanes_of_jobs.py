"""Accounts take turns with compositions; identical compositions are known by a digest."""

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'job_lanes',
        sa.Column('lane', sa.String(length=36), nullable=False),
        sa.Column('turn', sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint('lane', name=op.f('pk_job_lanes')),
    )
    op.add_column('jobs', sa.Column('lane', sa.String(length=36), nullable=True))
    op.add_column('room_compositions', sa.Column('digest', sa.String(length=64), nullable=True))
    op.execute(
        "UPDATE jobs SET lane = (SELECT CAST(account_id AS VARCHAR(36)) FROM room_compositions "
        "WHERE CAST(room_compositions.id AS VARCHAR(36)) = jobs.subject) WHERE kind = 'compose'"
    )


def downgrade() -> None:
    op.drop_column('room_compositions', 'digest')
    op.drop_column('jobs', 'lane')
    op.drop_table('job_lanes')
