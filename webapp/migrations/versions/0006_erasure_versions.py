"""erasure versions

Revision ID: 0006
Revises: 0005
Create Date: 2026-11-30 09:12:00.000000

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    erasure_version = op.create_table('erasure_version',
    sa.Column('id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('truncated', sa.Integer(), nullable=False),
    sa.Column('compacted', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_erasure_version'))
    )
    # What was erased before may still be in the free pages of SQLite's file: it is owed one VACUUM.
    op.bulk_insert(erasure_version, [{'id': 1, 'version': 1, 'truncated': 1, 'compacted': 0}])

    with op.batch_alter_table('selfie', schema=None) as batch_op:
        batch_op.add_column(sa.Column('pictures_erased_at', sa.DateTime(timezone=True), nullable=True))
    # Pictures of replaced selfies went when they were replaced.
    op.execute('UPDATE selfie SET pictures_erased_at = retired_at WHERE retired_at IS NOT NULL')


def downgrade() -> None:
    with op.batch_alter_table('selfie', schema=None) as batch_op:
        batch_op.drop_column('pictures_erased_at')

    op.drop_table('erasure_version')
