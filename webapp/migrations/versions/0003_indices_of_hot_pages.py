"""indices of hot pages

Revision ID: 0003
Revises: 0002
Create Date: 2026-11-23 20:36:12.104233

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('photo', schema=None) as batch_op:
        batch_op.create_index('ix_photo_event_id', ['event_id', 'id'], unique=False)
        batch_op.create_index('ix_photo_event_out', ['event_id', 'status', 'published_at', 'hidden_at'], unique=False)
        batch_op.create_index('ix_photo_event_shown', ['event_id', 'sorted_at', 'id'], unique=False, sqlite_where=sa.text('shown_to_all IS 1'), postgresql_where=sa.text('shown_to_all IS true'))



def downgrade() -> None:
    with op.batch_alter_table('photo', schema=None) as batch_op:
        batch_op.drop_index('ix_photo_event_shown', sqlite_where=sa.text('shown_to_all IS 1'), postgresql_where=sa.text('shown_to_all IS true'))
        batch_op.drop_index('ix_photo_event_out')
        batch_op.drop_index('ix_photo_event_id')
