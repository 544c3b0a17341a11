"""clock: trusted_at and held_until, so that a clock that is far ahead deletes nothing."""

import sqlalchemy as sa
from alembic import op

from portico.db.schema import Instant

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('clock', schema=None) as batch_op:
        batch_op.add_column(sa.Column('trusted_at', Instant(), nullable=True))
        batch_op.add_column(sa.Column('held_until', Instant(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('clock', schema=None) as batch_op:
        batch_op.drop_column('held_until')
        batch_op.drop_column('trusted_at')
