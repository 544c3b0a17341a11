"""webhook_deliveries: url_head, so that an index entry is bounded whatever URL a row of a former version has."""

import sqlalchemy as sa
from alembic import op

revision = '0012'
down_revision = '0011'
branch_labels = None
depends_on = None

_INDEX = 'ix_webhook_deliveries_ready'
_READY = sa.text("stage = 'ready'")


def upgrade() -> None:
    op.drop_index(_INDEX, table_name='webhook_deliveries')
    op.add_column('webhook_deliveries', sa.Column('url_head', sa.Text(), nullable=False, server_default=sa.text("''")))
    op.execute('UPDATE webhook_deliveries SET url_head = substr(url, 1, 350)')
    op.execute('UPDATE webhook_deliveries SET origin = substr(origin, 1, 250) WHERE length(origin) > 250')
    lane = ['account_id', 'origin', 'url_head', 'due_at', 'seq']
    op.create_index(_INDEX, 'webhook_deliveries', lane, sqlite_where=_READY, postgresql_where=_READY)


def downgrade() -> None:
    op.drop_index(_INDEX, table_name='webhook_deliveries')
    lane = ['account_id', 'origin', 'url', 'due_at', 'seq']
    op.create_index(_INDEX, 'webhook_deliveries', lane, sqlite_where=_READY, postgresql_where=_READY)
    op.drop_column('webhook_deliveries', 'url_head')
