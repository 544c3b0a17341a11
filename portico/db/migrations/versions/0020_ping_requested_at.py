"""room_participants.ping_requested_at: another gateway asks whether the browser of a participant still answers."""

import sqlalchemy as sa
from alembic import op

from portico.db.schema import Instant

revision = '0020'
down_revision = '0019'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('room_participants', sa.Column('ping_requested_at', Instant(), nullable=True))


def downgrade() -> None:
    # Without a copy of the table, which SQLite refuses to drop while others refer to it.
    op.drop_column('room_participants', 'ping_requested_at')
