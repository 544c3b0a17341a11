"""API keys: name, scopes, last use, and which one came from the setting; the audit log."""

import sqlalchemy as sa
from alembic import op

from portico.db.schema import Instant

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('api_keys', schema=None) as batch_op:
        batch_op.add_column(sa.Column('name', sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column('scopes', sa.JSON(none_as_null=True), nullable=True))
        batch_op.add_column(sa.Column('from_setting', sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column('last_used_at', Instant(), nullable=True))
        batch_op.add_column(sa.Column('expires_at', Instant(), nullable=True))

    op.create_table('audit_events',
    sa.Column('id', sa.String(length=36), nullable=False),
    sa.Column('account_id', sa.String(length=36), nullable=True),
    sa.Column('key_id', sa.String(length=36), nullable=True),
    sa.Column('operation', sa.String(length=64), nullable=False),
    sa.Column('object_id', sa.String(length=255), nullable=True),
    sa.Column('request_id', sa.String(length=128), nullable=True),
    sa.Column('detail', sa.Text(), nullable=True),
    sa.Column('created_at', Instant(), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_audit_events_account_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit_events'))
    )
    with op.batch_alter_table('audit_events', schema=None) as batch_op:
        batch_op.create_index('ix_audit_events_account_id_created_at', ['account_id', 'created_at', 'id'], unique=False)
        batch_op.create_index('ix_audit_events_created_at', ['created_at'], unique=False)


def downgrade() -> None:
    op.drop_table('audit_events')
    with op.batch_alter_table('api_keys', schema=None) as batch_op:
        for name in ('expires_at', 'last_used_at', 'from_setting', 'scopes', 'name'):
            batch_op.drop_column(name)
