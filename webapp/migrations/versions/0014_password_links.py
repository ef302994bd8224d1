"""links that set a new password

Revision ID: 0014
Revises: 0013
Create Date: 2026-12-01 11:00:00.000000

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None

link = sa.table('sign_in_link', sa.column('purpose'))


def upgrade() -> None:
    with op.batch_alter_table('sign_in_link', schema=None) as batch_op:
        batch_op.add_column(sa.Column('purpose', sa.String(length=20), server_default='sign_in', nullable=False))


def downgrade() -> None:
    # Without the column they would be taken for links that sign in.
    op.execute(sa.delete(link).where(link.c.purpose != 'sign_in'))
    with op.batch_alter_table('sign_in_link', schema=None) as batch_op:
        batch_op.drop_column('purpose')
