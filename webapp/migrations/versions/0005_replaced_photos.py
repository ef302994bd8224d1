"""replaced photos

Revision ID: 0005
Revises: 0004
Create Date: 2026-11-30 09:15:00.000000

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('kept_verdict',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('face_id', sa.Integer(), nullable=False),
    sa.Column('person_id', sa.Integer(), nullable=False),
    sa.Column('similarity', sa.Double(), nullable=False),
    sa.Column('band', sa.String(length=20), nullable=False),
    sa.Column('verdict', sa.String(length=20), nullable=False),
    sa.Column('decided_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['face_id'], ['face.id'], name=op.f('fk_kept_verdict_face_id_face'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name=op.f('fk_kept_verdict_person_id_person'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_kept_verdict')),
    sa.UniqueConstraint('face_id', 'person_id', name=op.f('uq_kept_verdict_face_id_person_id'))
    )
    with op.batch_alter_table('kept_verdict', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_kept_verdict_person_id'), ['person_id'], unique=False)

    with op.batch_alter_table('photo', schema=None) as batch_op:
        batch_op.add_column(sa.Column('pixel_hash', sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column('replaced_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('replaced_by_id', sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column('replaced_sha256', sa.String(length=255), nullable=True))
        batch_op.create_index(batch_op.f('ix_photo_replaced_by_id'), ['replaced_by_id'], unique=False)
        batch_op.create_foreign_key(batch_op.f('fk_photo_replaced_by_id_photo'), 'photo', ['replaced_by_id'], ['id'], ondelete='SET NULL')


def downgrade() -> None:
    # The former version doesn't know the state, and would show what was replaced as a photo without a place; it erases
    # what is `erasing`.
    photo = sa.table('photo', sa.column('status', sa.String))
    op.execute(photo.update().where(photo.c.status == 'replaced').values(status='erasing'))
    with op.batch_alter_table('photo', schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f('fk_photo_replaced_by_id_photo'), type_='foreignkey')
        batch_op.drop_index(batch_op.f('ix_photo_replaced_by_id'))
        batch_op.drop_column('replaced_sha256')
        batch_op.drop_column('replaced_by_id')
        batch_op.drop_column('replaced_at')
        batch_op.drop_column('pixel_hash')

    op.drop_table('kept_verdict')
