"""deaths of processes counted by their cause

Revision ID: 0008
Revises: 0007
Create Date: 2026-11-30 09:10:00.000000

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None

TABLES = ('photo', 'selfie', 'person', 'mail', 'removal')


def upgrade() -> None:
    for table in TABLES:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(sa.Column('crashes', sa.Integer(), nullable=False, server_default='0'))
            batch_op.add_column(sa.Column('interruptions', sa.Integer(), nullable=False, server_default='0'))
            # What was counted before the work began says nothing of how it ended.
            batch_op.drop_column('attempts')
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.alter_column('crashes', server_default=None)
            batch_op.alter_column('interruptions', server_default=None)


def downgrade() -> None:
    for table in TABLES:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(sa.Column('attempts', sa.Integer(), nullable=False, server_default='0'))
            batch_op.drop_column('interruptions')
            batch_op.drop_column('crashes')
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.alter_column('attempts', server_default=None)
