"""mails about photos, and the HTML of mails in development

Revision ID: 0015
Revises: 0014
Create Date: 2026-12-01 11:10:00.000000

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '0015'
down_revision = '0014'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('mail', schema=None) as batch_op:
        batch_op.add_column(sa.Column('rendered_html', sa.Text(), nullable=True))
    with op.batch_alter_table('event', schema=None) as batch_op:
        batch_op.add_column(sa.Column('ready_at', sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table('membership', schema=None) as batch_op:
        # Guests who joined before were never asked, so they get no mail.
        batch_op.add_column(sa.Column('wants_mail', sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column('told_ready_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('told_at', sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('membership', schema=None) as batch_op:
        batch_op.drop_column('told_at')
        batch_op.drop_column('told_ready_at')
        batch_op.drop_column('wants_mail')
    with op.batch_alter_table('event', schema=None) as batch_op:
        batch_op.drop_column('ready_at')
    with op.batch_alter_table('mail', schema=None) as batch_op:
        batch_op.drop_column('rendered_html')
