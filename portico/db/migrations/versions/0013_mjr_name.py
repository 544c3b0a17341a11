"""The base name of a recording's mjr files is in `mjr_name`; the column was called `dump`."""

from alembic import op

revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None


def upgrade() -> None:
    _rename('dump', 'mjr_name')


def downgrade() -> None:
    _rename('mjr_name', 'dump')


def _rename(old: str, new: str) -> None:
    with op.batch_alter_table('room_recordings', schema=None) as batch_op:
        batch_op.drop_constraint(op.f(f'uq_room_recordings_{old}_type'), type_='unique')
        batch_op.alter_column(old, new_column_name=new)
    # A batch of its own: on SQLite the new name is known only to the next one.
    with op.batch_alter_table('room_recordings', schema=None) as batch_op:
        batch_op.create_unique_constraint(op.f(f'uq_room_recordings_{new}_type'), [new, 'type'])
