"""recordings, compositions and jobs."""

import sqlalchemy as sa
from alembic import op

from portico.db.schema import Instant

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('jobs',
    sa.Column('id', sa.String(length=36), nullable=False),
    sa.Column('kind', sa.String(length=32), nullable=False),
    sa.Column('subject', sa.Text(), nullable=False),
    sa.Column('due_at', Instant(), nullable=False),
    sa.Column('leased_until', Instant(), nullable=True),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('last_error', sa.Text(), nullable=True),
    sa.Column('created_at', Instant(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_jobs')),
    sa.UniqueConstraint('kind', 'subject', name=op.f('uq_jobs_kind_subject'))
    )
    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.create_index('ix_jobs_kind_due_at', ['kind', 'due_at'], unique=False)

    op.create_table('participant_tokens',
    sa.Column('participant_id', sa.String(length=36), nullable=False),
    sa.Column('family', sa.String(length=18), nullable=False),
    sa.ForeignKeyConstraint(['participant_id'], ['room_participants.id'], name=op.f('fk_participant_tokens_participant_id')),
    sa.PrimaryKeyConstraint('participant_id', 'family', name=op.f('pk_participant_tokens'))
    )
    op.create_table('revoked_tokens',
    sa.Column('family', sa.String(length=18), nullable=False),
    sa.Column('room_id', sa.String(length=36), nullable=False),
    sa.Column('forget_at', Instant(), nullable=False),
    sa.ForeignKeyConstraint(['room_id'], ['rooms.id'], name=op.f('fk_revoked_tokens_room_id')),
    sa.PrimaryKeyConstraint('family', name=op.f('pk_revoked_tokens'))
    )
    op.create_table('room_counts',
    sa.Column('account_id', sa.String(length=36), nullable=False),
    sa.Column('bucket', sa.Integer(), nullable=False),
    sa.Column('rooms', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_room_counts_account_id')),
    sa.PrimaryKeyConstraint('account_id', 'bucket', name=op.f('pk_room_counts'))
    )
    op.execute(
        "INSERT INTO room_counts (account_id, bucket, rooms) "
        "SELECT account_id, 0, count(*) FROM rooms WHERE deleted_at IS NULL GROUP BY account_id"
    )
    op.create_table('room_compositions',
    sa.Column('id', sa.String(length=36), nullable=False),
    sa.Column('account_id', sa.String(length=36), nullable=False),
    sa.Column('room_id', sa.String(length=36), nullable=False),
    sa.Column('session_id', sa.String(length=36), nullable=False),
    sa.Column('status', sa.String(length=16), nullable=False),
    sa.Column('format', sa.String(length=8), nullable=False),
    sa.Column('resolution', sa.String(length=16), nullable=False),
    sa.Column('video_layout', sa.JSON(), nullable=False),
    sa.Column('audio_sources', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('show_placeholders', sa.Boolean(), nullable=False),
    sa.Column('webhook_event_url', sa.Text(), nullable=True),
    sa.Column('webhook_event_failover_url', sa.Text(), nullable=False),
    sa.Column('webhook_timeout_secs', sa.Integer(), nullable=True),
    sa.Column('progress', sa.Float(), nullable=False),
    sa.Column('size_bytes', sa.BigInteger(), nullable=True),
    sa.Column('sha256', sa.String(length=64), nullable=True),
    sa.Column('object_key', sa.Text(), nullable=True),
    sa.Column('duration_secs', sa.Integer(), nullable=True),
    sa.Column('failure', sa.Text(), nullable=True),
    sa.Column('started_at', Instant(), nullable=True),
    sa.Column('ended_at', Instant(), nullable=True),
    sa.Column('completed_at', Instant(), nullable=True),
    sa.Column('created_at', Instant(), nullable=False),
    sa.Column('updated_at', Instant(), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_room_compositions_account_id')),
    sa.ForeignKeyConstraint(['room_id'], ['rooms.id'], name=op.f('fk_room_compositions_room_id')),
    sa.ForeignKeyConstraint(['session_id'], ['room_sessions.id'], name=op.f('fk_room_compositions_session_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_room_compositions'))
    )
    with op.batch_alter_table('room_compositions', schema=None) as batch_op:
        batch_op.create_index('ix_room_compositions_account_id_created_at', ['account_id', 'created_at', 'id'], unique=False)
        batch_op.create_index('ix_room_compositions_session_id', ['session_id'], unique=False)

    op.create_table('room_recordings',
    sa.Column('id', sa.String(length=36), nullable=False),
    sa.Column('account_id', sa.String(length=36), nullable=False),
    sa.Column('room_id', sa.String(length=36), nullable=False),
    sa.Column('session_id', sa.String(length=36), nullable=False),
    sa.Column('participant_id', sa.String(length=36), nullable=False),
    sa.Column('type', sa.String(length=8), nullable=False),
    sa.Column('stream_key', sa.Text(), nullable=False),
    sa.Column('dump', sa.String(length=64), nullable=False),
    sa.Column('status', sa.String(length=16), nullable=False),
    sa.Column('codec', sa.String(length=16), nullable=True),
    sa.Column('shown', sa.JSON(), nullable=False),
    sa.Column('size_bytes', sa.BigInteger(), nullable=True),
    sa.Column('sha256', sa.String(length=64), nullable=True),
    sa.Column('object_key', sa.Text(), nullable=True),
    sa.Column('duration_secs', sa.Integer(), nullable=True),
    sa.Column('failure', sa.Text(), nullable=True),
    sa.Column('started_at', Instant(), nullable=True),
    sa.Column('ended_at', Instant(), nullable=True),
    sa.Column('completed_at', Instant(), nullable=True),
    sa.Column('created_at', Instant(), nullable=False),
    sa.Column('updated_at', Instant(), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_room_recordings_account_id')),
    sa.ForeignKeyConstraint(['participant_id'], ['room_participants.id'], name=op.f('fk_room_recordings_participant_id')),
    sa.ForeignKeyConstraint(['room_id'], ['rooms.id'], name=op.f('fk_room_recordings_room_id')),
    sa.ForeignKeyConstraint(['session_id'], ['room_sessions.id'], name=op.f('fk_room_recordings_session_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_room_recordings')),
    sa.UniqueConstraint('dump', 'type', name=op.f('uq_room_recordings_dump_type'))
    )
    with op.batch_alter_table('room_recordings', schema=None) as batch_op:
        batch_op.create_index('ix_room_recordings_account_id_created_at', ['account_id', 'created_at', 'id'], unique=False)
        batch_op.create_index('ix_room_recordings_going_on', ['participant_id'], unique=False, sqlite_where=sa.text('ended_at IS NULL'), postgresql_where=sa.text('ended_at IS NULL'))
        batch_op.create_index('ix_room_recordings_session_id', ['session_id'], unique=False)

    with op.batch_alter_table('room_participants', schema=None) as batch_op:
        batch_op.add_column(sa.Column('audio_muted', sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column('label', sa.String(length=255), nullable=True))
        batch_op.create_index('ix_room_participants_gateway_id_updated_at', ['gateway_id', 'updated_at'], unique=False)

    with op.batch_alter_table('room_sessions', schema=None) as batch_op:
        batch_op.add_column(sa.Column('recording', sa.Boolean(), server_default=sa.false(), nullable=False))



def downgrade() -> None:
    with op.batch_alter_table('room_sessions', schema=None) as batch_op:
        batch_op.drop_column('recording')

    with op.batch_alter_table('room_participants', schema=None) as batch_op:
        batch_op.drop_index('ix_room_participants_gateway_id_updated_at')
        batch_op.drop_column('label')
        batch_op.drop_column('audio_muted')

    with op.batch_alter_table('room_recordings', schema=None) as batch_op:
        batch_op.drop_index('ix_room_recordings_session_id')
        batch_op.drop_index('ix_room_recordings_going_on', sqlite_where=sa.text('ended_at IS NULL'), postgresql_where=sa.text('ended_at IS NULL'))
        batch_op.drop_index('ix_room_recordings_account_id_created_at')

    op.drop_table('room_recordings')
    with op.batch_alter_table('room_compositions', schema=None) as batch_op:
        batch_op.drop_index('ix_room_compositions_session_id')
        batch_op.drop_index('ix_room_compositions_account_id_created_at')

    op.drop_table('room_compositions')
    op.drop_table('room_counts')
    op.drop_table('revoked_tokens')
    op.drop_table('participant_tokens')
    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.drop_index('ix_jobs_kind_due_at')

    op.drop_table('jobs')
