"""An index of recordings by participant: deleting and erasing participants would scan the table for each."""

from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('room_recordings', schema=None) as batch_op:
        batch_op.create_index('ix_room_recordings_participant_id', ['participant_id'], unique=False)


def downgrade() -> None:
    with op.batch_alter_table('room_recordings', schema=None) as batch_op:
        batch_op.drop_index('ix_room_recordings_participant_id')
