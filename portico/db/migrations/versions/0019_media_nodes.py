"""media_nodes, media_rooms, media_room_holders, room_streams: where a room is, and whose its streams are, for all processes."""

import sqlalchemy as sa
from alembic import op

from portico.db.schema import Instant

revision = '0019'
down_revision = '0018'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'media_nodes',
        sa.Column('id', sa.String(length=64), nullable=False),
        sa.Column('url', sa.Text(), nullable=False),
        sa.Column('api_secret', sa.Text(), nullable=True),
        sa.Column('admin_key', sa.Text(), nullable=False),
        sa.Column('host', sa.String(length=128), nullable=True),
        sa.Column('mjr_folder', sa.Text(), nullable=False),
        sa.Column('version', sa.String(length=64), nullable=True),
        sa.Column('epoch', sa.Integer(), nullable=False),
        sa.Column('state', sa.String(length=16), nullable=False),
        sa.Column('is_up', sa.Boolean(), nullable=False),
        sa.Column('seen_at', Instant(), nullable=False),
        sa.Column('lost_at', Instant(), nullable=True),
        sa.Column('participants', sa.Integer(), nullable=False),
        sa.Column('cpu', sa.Float(), nullable=False),
        sa.Column('packets', sa.BigInteger(), nullable=False),
        sa.Column('shortage', sa.Text(), nullable=True),
        sa.Column('recording_paused', sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_media_nodes')),
    )
    op.create_table(
        'media_rooms',
        sa.Column('id', sa.String(length=36), nullable=False),
        sa.Column('room_id', sa.String(length=36), nullable=False),
        sa.Column('node_id', sa.String(length=64), nullable=False),
        sa.Column('node_epoch', sa.Integer(), nullable=False),
        sa.Column('video', sa.BigInteger(), nullable=False),
        sa.Column('text', sa.BigInteger(), nullable=False),
        sa.Column('secret', sa.String(length=64), nullable=False),
        sa.Column('closing', sa.Boolean(), nullable=False),
        sa.Column('created_at', Instant(), nullable=False),
        sa.ForeignKeyConstraint(['room_id'], ['rooms.id'], name=op.f('fk_media_rooms_room_id')),
        sa.ForeignKeyConstraint(['node_id'], ['media_nodes.id'], name=op.f('fk_media_rooms_node_id')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_media_rooms')),
    )
    is_open = sa.text('NOT closing')
    op.create_index(
        'uq_media_rooms_room_id', 'media_rooms', ['room_id'], unique=True, sqlite_where=is_open, postgresql_where=is_open
    )
    op.create_index('ix_media_rooms_node_id', 'media_rooms', ['node_id'])
    op.create_table(
        'media_room_holders',
        sa.Column('gateway_id', sa.String(length=36), nullable=False),
        sa.Column('media_room_id', sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ['media_room_id'], ['media_rooms.id'], name=op.f('fk_media_room_holders_media_room_id'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('gateway_id', 'media_room_id', name=op.f('pk_media_room_holders')),
    )
    op.create_index('ix_media_room_holders_media_room_id', 'media_room_holders', ['media_room_id'])
    op.create_table(
        'room_streams',
        sa.Column('session_id', sa.String(length=36), nullable=False),
        sa.Column('stream_id', sa.String(length=255), nullable=False),
        sa.Column('participant_id', sa.String(length=36), nullable=False),
        sa.Column('claimed_at', Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ['session_id'], ['room_sessions.id'], name=op.f('fk_room_streams_session_id'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('session_id', 'stream_id', name=op.f('pk_room_streams')),
    )
    op.create_index('ix_room_streams_participant_id', 'room_streams', ['participant_id'])


def downgrade() -> None:
    op.drop_table('room_streams')
    op.drop_table('media_room_holders')
    op.drop_table('media_rooms')
    op.drop_table('media_nodes')
