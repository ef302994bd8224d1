"""admission of guests and the end of joining

Revision ID: 0011
Revises: 0010
Create Date: 2026-11-30 12:10:00.000000

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('event', schema=None) as batch_op:
        batch_op.add_column(sa.Column('admits_guests', sa.Boolean(), server_default=sa.false(), nullable=False))
        # Events that are there already keep what their guests were told: joining doesn't end by itself.
        batch_op.add_column(sa.Column('join_days', sa.Integer(), nullable=True))

    with op.batch_alter_table('membership', schema=None) as batch_op:
        batch_op.add_column(sa.Column('admission', sa.String(length=20), server_default='admitted', nullable=False))


def downgrade() -> None:
    with op.batch_alter_table('membership', schema=None) as batch_op:
        batch_op.drop_column('admission')

    with op.batch_alter_table('event', schema=None) as batch_op:
        batch_op.drop_column('join_days')
        batch_op.drop_column('admits_guests')
