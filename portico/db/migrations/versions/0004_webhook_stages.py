"""stages of webhook deliveries."""

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None

_INDEXES = {
    'ready': ['account_id', 'origin', 'url', 'due_at', 'seq'],
    'later': ['due_at'],
    'leased': ['leased_until'],
}
_PENDING = sa.text("status = 'pending'")


def upgrade() -> None:
    op.add_column('webhook_deliveries', sa.Column('stage', sa.String(length=8), nullable=True))
    # What is due becomes ready as soon as a worker looks.
    op.execute(
        "UPDATE webhook_deliveries SET stage = CASE "
        "WHEN leased_until IS NOT NULL THEN 'leased' "
        "WHEN rounds = 0 AND EXISTS (SELECT 1 FROM webhook_deliveries AS earlier "
        "WHERE earlier.room_id = webhook_deliveries.room_id AND earlier.seq < webhook_deliveries.seq "
        "AND earlier.status = 'pending' AND earlier.rounds = 0) THEN 'held' "
        "ELSE 'later' END WHERE status = 'pending'"
    )
    with op.batch_alter_table('webhook_deliveries', schema=None) as batch_op:
        batch_op.drop_index('ix_webhook_deliveries_due')
        for stage, columns in _INDEXES.items():
            where = sa.text(f"stage = '{stage}'")
            batch_op.create_index(f'ix_webhook_deliveries_{stage}', columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    with op.batch_alter_table('webhook_deliveries', schema=None) as batch_op:
        for stage in _INDEXES:
            batch_op.drop_index(f'ix_webhook_deliveries_{stage}')
        batch_op.create_index(
            'ix_webhook_deliveries_due', ['due_at'], sqlite_where=_PENDING, postgresql_where=_PENDING
        )
    op.drop_column('webhook_deliveries', 'stage')
