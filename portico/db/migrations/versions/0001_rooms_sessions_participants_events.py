"""rooms sessions participants events."""

import sqlalchemy as sa
from alembic import op

from portico.db.schema import Instant

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('accounts',
    sa.Column('id', sa.String(length=36), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('created_at', Instant(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_accounts')),
    sa.UniqueConstraint('name', name=op.f('uq_accounts_name'))
    )
    op.create_table('gateways',
    sa.Column('id', sa.String(length=36), nullable=False),
    sa.Column('started_at', Instant(), nullable=False),
    sa.Column('seen_at', Instant(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_gateways'))
    )
    op.create_table('signing_keys',
    sa.Column('id', sa.String(length=36), nullable=False),
    sa.Column('purpose', sa.String(length=32), nullable=False),
    sa.Column('secret', sa.String(length=64), nullable=False),
    sa.Column('created_at', Instant(), nullable=False),
    sa.Column('retired_at', Instant(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_signing_keys'))
    )
    with op.batch_alter_table('signing_keys', schema=None) as batch_op:
        batch_op.create_index('uq_signing_keys_current', ['purpose'], unique=True, sqlite_where=sa.text('retired_at IS NULL'), postgresql_where=sa.text('retired_at IS NULL'))

    op.create_table('api_keys',
    sa.Column('id', sa.String(length=36), nullable=False),
    sa.Column('account_id', sa.String(length=36), nullable=False),
    sa.Column('sha256', sa.String(length=64), nullable=False),
    sa.Column('created_at', Instant(), nullable=False),
    sa.Column('revoked_at', Instant(), nullable=True),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_api_keys_account_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_api_keys')),
    sa.UniqueConstraint('sha256', name=op.f('uq_api_keys_sha256'))
    )
    op.create_table('rooms',
    sa.Column('id', sa.String(length=36), nullable=False),
    sa.Column('account_id', sa.String(length=36), nullable=False),
    sa.Column('unique_name', sa.String(length=255), nullable=True),
    sa.Column('max_participants', sa.Integer(), nullable=False),
    sa.Column('enable_recording', sa.Boolean(), nullable=False),
    sa.Column('webhook_event_url', sa.Text(), nullable=True),
    sa.Column('webhook_event_failover_url', sa.Text(), nullable=False),
    sa.Column('webhook_timeout_secs', sa.Integer(), nullable=True),
    sa.Column('created_at', Instant(), nullable=False),
    sa.Column('updated_at', Instant(), nullable=False),
    sa.Column('deleted_at', Instant(), nullable=True),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_rooms_account_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_rooms'))
    )
    with op.batch_alter_table('rooms', schema=None) as batch_op:
        batch_op.create_index('ix_rooms_account_id_created_at', ['account_id', 'created_at', 'id'], unique=False)
        batch_op.create_index('uq_rooms_account_id_unique_name', ['account_id', 'unique_name'], unique=True, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))

    op.create_table('events',
    sa.Column('seq', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('id', sa.String(length=36), nullable=False),
    sa.Column('account_id', sa.String(length=36), nullable=False),
    sa.Column('room_id', sa.String(length=36), nullable=False),
    sa.Column('event_type', sa.String(length=64), nullable=False),
    sa.Column('occurred_at', Instant(), nullable=False),
    sa.Column('payload', sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_events_account_id')),
    sa.ForeignKeyConstraint(['room_id'], ['rooms.id'], name=op.f('fk_events_room_id')),
    sa.PrimaryKeyConstraint('seq', name=op.f('pk_events')),
    sa.UniqueConstraint('id', name=op.f('uq_events_id')),
    sqlite_autoincrement=True
    )
    with op.batch_alter_table('events', schema=None) as batch_op:
        batch_op.create_index('ix_events_account_id_seq', ['account_id', 'seq'], unique=False)
        batch_op.create_index('ix_events_room_id_seq', ['room_id', 'seq'], unique=False)

    op.create_table('room_sessions',
    sa.Column('id', sa.String(length=36), nullable=False),
    sa.Column('room_id', sa.String(length=36), nullable=False),
    sa.Column('account_id', sa.String(length=36), nullable=False),
    sa.Column('active', sa.Boolean(), nullable=False),
    sa.Column('created_at', Instant(), nullable=False),
    sa.Column('updated_at', Instant(), nullable=False),
    sa.Column('ended_at', Instant(), nullable=True),
    sa.Column('ended_reason', sa.String(length=64), nullable=True),
    sa.Column('empty_at', Instant(), nullable=True),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_room_sessions_account_id')),
    sa.ForeignKeyConstraint(['room_id'], ['rooms.id'], name=op.f('fk_room_sessions_room_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_room_sessions'))
    )
    with op.batch_alter_table('room_sessions', schema=None) as batch_op:
        batch_op.create_index('ix_room_sessions_account_id_created_at', ['account_id', 'created_at', 'id'], unique=False)
        batch_op.create_index('ix_room_sessions_room_id_created_at', ['room_id', 'created_at', 'id'], unique=False)
        batch_op.create_index('uq_room_sessions_active', ['room_id'], unique=True, sqlite_where=sa.text('active'), postgresql_where=sa.text('active'))

    op.create_table('room_participants',
    sa.Column('id', sa.String(length=36), nullable=False),
    sa.Column('session_id', sa.String(length=36), nullable=False),
    sa.Column('room_id', sa.String(length=36), nullable=False),
    sa.Column('account_id', sa.String(length=36), nullable=False),
    sa.Column('gateway_id', sa.String(length=36), nullable=False),
    sa.Column('context', sa.Text(), nullable=True),
    sa.Column('joined_at', Instant(), nullable=False),
    sa.Column('updated_at', Instant(), nullable=False),
    sa.Column('left_at', Instant(), nullable=True),
    sa.Column('left_reason', sa.String(length=64), nullable=True),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_room_participants_account_id')),
    sa.ForeignKeyConstraint(['room_id'], ['rooms.id'], name=op.f('fk_room_participants_room_id')),
    sa.ForeignKeyConstraint(['session_id'], ['room_sessions.id'], name=op.f('fk_room_participants_session_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_room_participants'))
    )
    with op.batch_alter_table('room_participants', schema=None) as batch_op:
        batch_op.create_index('ix_room_participants_account_id_joined_at', ['account_id', 'joined_at', 'id'], unique=False)
        batch_op.create_index('ix_room_participants_present', ['gateway_id'], unique=False, sqlite_where=sa.text('left_at IS NULL'), postgresql_where=sa.text('left_at IS NULL'))
        batch_op.create_index('ix_room_participants_session_id_joined_at', ['session_id', 'joined_at', 'id'], unique=False)



def downgrade() -> None:
    with op.batch_alter_table('room_participants', schema=None) as batch_op:
        batch_op.drop_index('ix_room_participants_session_id_joined_at')
        batch_op.drop_index('ix_room_participants_present', sqlite_where=sa.text('left_at IS NULL'), postgresql_where=sa.text('left_at IS NULL'))
        batch_op.drop_index('ix_room_participants_account_id_joined_at')

    op.drop_table('room_participants')
    with op.batch_alter_table('room_sessions', schema=None) as batch_op:
        batch_op.drop_index('uq_room_sessions_active', sqlite_where=sa.text('active'), postgresql_where=sa.text('active'))
        batch_op.drop_index('ix_room_sessions_room_id_created_at')
        batch_op.drop_index('ix_room_sessions_account_id_created_at')

    op.drop_table('room_sessions')
    with op.batch_alter_table('events', schema=None) as batch_op:
        batch_op.drop_index('ix_events_room_id_seq')
        batch_op.drop_index('ix_events_account_id_seq')

    op.drop_table('events')
    with op.batch_alter_table('rooms', schema=None) as batch_op:
        batch_op.drop_index('uq_rooms_account_id_unique_name', sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.drop_index('ix_rooms_account_id_created_at')

    op.drop_table('rooms')
    op.drop_table('api_keys')
    with op.batch_alter_table('signing_keys', schema=None) as batch_op:
        batch_op.drop_index('uq_signing_keys_current', sqlite_where=sa.text('retired_at IS NULL'), postgresql_where=sa.text('retired_at IS NULL'))

    op.drop_table('signing_keys')
    op.drop_table('gateways')
    op.drop_table('accounts')
