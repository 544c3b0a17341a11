"""rate_buckets: limits of requests that all processes of a PostgreSQL database share."""

import sqlalchemy as sa
from alembic import op

revision = '0018'
down_revision = '0017'
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Not worth a write-ahead log: after a crash of the database all buckets are full.
    prefixes = ['UNLOGGED'] if op.get_bind().dialect.name == 'postgresql' else []
    op.create_table('rate_buckets',
    sa.Column('name', sa.String(length=160), nullable=False),
    sa.Column('full_at', sa.BigInteger(), nullable=False),
    sa.Column('granted', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_rate_buckets')),
    prefixes=prefixes)


def downgrade() -> None:
    op.drop_table('rate_buckets')
