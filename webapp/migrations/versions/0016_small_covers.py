"""a small copy of each cover, for phones

Revision ID: 0016
Revises: 0015
Create Date: 2026-12-01 15:00:00.000000

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '0016'
down_revision = '0015'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('event', schema=None) as batch_op:
        # Covers from before have none until they are chosen again; phones get the large one.
        batch_op.add_column(sa.Column('cover_small_key', sa.String(length=255), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('event', schema=None) as batch_op:
        batch_op.drop_column('cover_small_key')
