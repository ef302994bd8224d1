"""the studio

Revision ID: 0004
Revises: 0003
Create Date: 2026-11-23 22:08:53.779231

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('camera',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('public_id', sa.String(length=255), nullable=False),
    sa.Column('event_id', sa.Integer(), nullable=False),
    sa.Column('key', sa.String(length=255), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('offset_seconds', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['event_id'], ['event.id'], name=op.f('fk_camera_event_id_event'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_camera')),
    sa.UniqueConstraint('event_id', 'key', name=op.f('uq_camera_event_id_key')),
    sa.UniqueConstraint('public_id', name=op.f('uq_camera_public_id'))
    )
    op.create_table('invitation',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('public_id', sa.String(length=255), nullable=False),
    sa.Column('email', sa.String(length=255), nullable=False),
    sa.Column('event_id', sa.Integer(), nullable=True),
    sa.Column('invited_by_id', sa.Integer(), nullable=True),
    sa.Column('token_hash', sa.String(length=255), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('used_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['event_id'], ['event.id'], name=op.f('fk_invitation_event_id_event'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['invited_by_id'], ['user.id'], name=op.f('fk_invitation_invited_by_id_user'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_invitation')),
    sa.UniqueConstraint('public_id', name=op.f('uq_invitation_public_id')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_invitation_token_hash'))
    )
    with op.batch_alter_table('invitation', schema=None) as batch_op:
        batch_op.create_index('ix_invitation_email', ['email'], unique=False)
        batch_op.create_index(batch_op.f('ix_invitation_event_id'), ['event_id'], unique=False)

    op.create_table('upload_token',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('public_id', sa.String(length=255), nullable=False),
    sa.Column('event_id', sa.Integer(), nullable=False),
    sa.Column('user_id', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('token_hash', sa.String(length=255), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('last_used_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['event_id'], ['event.id'], name=op.f('fk_upload_token_event_id_event'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['user_id'], ['user.id'], name=op.f('fk_upload_token_user_id_user'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_upload_token')),
    sa.UniqueConstraint('public_id', name=op.f('uq_upload_token_public_id')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_upload_token_token_hash'))
    )
    with op.batch_alter_table('upload_token', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_upload_token_event_id'), ['event_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_upload_token_user_id'), ['user_id'], unique=False)

    op.create_table('upload',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('public_id', sa.String(length=255), nullable=False),
    sa.Column('event_id', sa.Integer(), nullable=False),
    sa.Column('user_id', sa.Integer(), nullable=True),
    sa.Column('photo_id', sa.Integer(), nullable=True),
    sa.Column('filename', sa.String(length=255), nullable=False),
    sa.Column('way', sa.String(length=20), nullable=False),
    sa.Column('status', sa.String(length=20), nullable=False),
    sa.Column('reason', sa.String(length=255), nullable=True),
    sa.Column('byte_size', sa.BigInteger(), nullable=False),
    sa.Column('received', sa.BigInteger(), nullable=False),
    sa.Column('blob_key', sa.String(length=255), nullable=True),
    sa.Column('multipart_id', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['event_id'], ['event.id'], name=op.f('fk_upload_event_id_event'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['photo_id'], ['photo.id'], name=op.f('fk_upload_photo_id_photo'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['user_id'], ['user.id'], name=op.f('fk_upload_user_id_user'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_upload')),
    sa.UniqueConstraint('public_id', name=op.f('uq_upload_public_id'))
    )
    with op.batch_alter_table('upload', schema=None) as batch_op:
        batch_op.create_index('ix_upload_event_status', ['event_id', 'status', 'id'], unique=False)
        batch_op.create_index(batch_op.f('ix_upload_photo_id'), ['photo_id'], unique=False)
        batch_op.create_index('ix_upload_status_expires', ['status', 'expires_at'], unique=False)

    with op.batch_alter_table('event', schema=None) as batch_op:
        batch_op.add_column(sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('language', sa.String(length=255), server_default=sa.text("''"), nullable=False))
        batch_op.add_column(sa.Column('accent', sa.String(length=255), server_default=sa.text("''"), nullable=False))
        batch_op.add_column(sa.Column('cover_key', sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column('approval', sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column('watermark', sa.String(length=255), server_default=sa.text("''"), nullable=False))

    with op.batch_alter_table('photo', schema=None) as batch_op:
        batch_op.add_column(sa.Column('camera_id', sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column('camera_time', sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column('shot_key', sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column('same_shot_as_id', sa.Integer(), nullable=True))
        batch_op.create_index(batch_op.f('ix_photo_camera_id'), ['camera_id'], unique=False)
        batch_op.create_index('ix_photo_event_created', ['event_id', 'created_at', 'byte_size'], unique=False)
        batch_op.create_index('ix_photo_event_indexed', ['event_id', 'indexed_at'], unique=False)
        batch_op.create_index('ix_photo_event_shot', ['event_id', 'shot_key'], unique=False)
        batch_op.create_index(batch_op.f('ix_photo_same_shot_as_id'), ['same_shot_as_id'], unique=False)
        batch_op.create_foreign_key(batch_op.f('fk_photo_same_shot_as_id_photo'), 'photo', ['same_shot_as_id'], ['id'], ondelete='SET NULL')
        batch_op.create_foreign_key(batch_op.f('fk_photo_camera_id_camera'), 'camera', ['camera_id'], ['id'], ondelete='SET NULL')

    with op.batch_alter_table('match', schema=None) as batch_op:
        batch_op.drop_index('ix_match_photo')
        batch_op.create_index('ix_match_photo', ['photo_id', 'band', 'verdict'], unique=False)
        batch_op.create_index('ix_match_person_photo', ['person_id', 'photo_id', 'band', 'verdict'], unique=False)


def downgrade() -> None:
    with op.batch_alter_table('match', schema=None) as batch_op:
        batch_op.drop_index('ix_match_person_photo')
        batch_op.drop_index('ix_match_photo')
        batch_op.create_index('ix_match_photo', ['photo_id'], unique=False)

    with op.batch_alter_table('photo', schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f('fk_photo_camera_id_camera'), type_='foreignkey')
        batch_op.drop_constraint(batch_op.f('fk_photo_same_shot_as_id_photo'), type_='foreignkey')
        batch_op.drop_index(batch_op.f('ix_photo_same_shot_as_id'))
        batch_op.drop_index('ix_photo_event_shot')
        batch_op.drop_index('ix_photo_event_indexed')
        batch_op.drop_index('ix_photo_event_created')
        batch_op.drop_index(batch_op.f('ix_photo_camera_id'))
        batch_op.drop_column('same_shot_as_id')
        batch_op.drop_column('shot_key')
        batch_op.drop_column('camera_time')
        batch_op.drop_column('camera_id')

    with op.batch_alter_table('event', schema=None) as batch_op:
        batch_op.drop_column('watermark')
        batch_op.drop_column('approval')
        batch_op.drop_column('cover_key')
        batch_op.drop_column('accent')
        batch_op.drop_column('language')
        batch_op.drop_column('closed_at')

    with op.batch_alter_table('upload', schema=None) as batch_op:
        batch_op.drop_index('ix_upload_status_expires')
        batch_op.drop_index(batch_op.f('ix_upload_photo_id'))
        batch_op.drop_index('ix_upload_event_status')

    op.drop_table('upload')
    with op.batch_alter_table('upload_token', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_upload_token_user_id'))
        batch_op.drop_index(batch_op.f('ix_upload_token_event_id'))

    op.drop_table('upload_token')
    with op.batch_alter_table('invitation', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_invitation_event_id'))
        batch_op.drop_index('ix_invitation_email')

    op.drop_table('invitation')
    op.drop_table('camera')
