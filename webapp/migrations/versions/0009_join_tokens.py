"""join tokens of events

Revision ID: 0009
Revises: 0008
Create Date: 2026-11-30 12:15:00.000000

"""
import secrets

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None

EVENT = sa.table('event', sa.column('id', sa.Integer()), sa.column('join_token', sa.String()))


def upgrade() -> None:
    with op.batch_alter_table('event', schema=None) as batch_op:
        batch_op.add_column(sa.Column('join_token', sa.String(), nullable=True))
    connection = op.get_bind()
    for event_id in connection.scalars(sa.select(EVENT.c.id)).all():
        token = secrets.token_urlsafe(12)
        connection.execute(sa.update(EVENT).where(EVENT.c.id == event_id).values(join_token=token))
    with op.batch_alter_table('event', schema=None) as batch_op:
        batch_op.alter_column('join_token', existing_type=sa.String(), nullable=False)
        batch_op.create_unique_constraint(batch_op.f('uq_event_join_token'), ['join_token'])


def downgrade() -> None:
    with op.batch_alter_table('event', schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f('uq_event_join_token'), type_='unique')
        batch_op.drop_column('join_token')
