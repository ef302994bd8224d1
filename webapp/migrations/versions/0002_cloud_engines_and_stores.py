"""cloud engines and stores

Revision ID: 0002
Revises: 0001
Create Date: 2026-11-23 18:58:54.358834

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('alarm',
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('detail', sa.String(length=255), nullable=False),
    sa.Column('count', sa.Integer(), nullable=False),
    sa.Column('raised_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('last_seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_alarm'))
    )
    op.create_table('engine_usage',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('event_public_id', sa.String(length=255), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('operation', sa.String(length=255), nullable=False),
    sa.Column('calls', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_engine_usage')),
    sa.UniqueConstraint('event_public_id', 'day', 'operation', name=op.f('uq_engine_usage_event_public_id_day_operation'))
    )
    op.create_table('installation_fact',
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('value', sa.String(length=255), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_installation_fact'))
    )
    op.create_table('removal',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('public_id', sa.String(length=255), nullable=False),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('event_public_id', sa.String(length=255), nullable=False),
    sa.Column('targets', sa.JSON(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('retries', sa.Integer(), nullable=False),
    sa.Column('retry_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('claim', sa.String(length=255), nullable=True),
    sa.Column('lease_expires_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_removal')),
    sa.UniqueConstraint('public_id', name=op.f('uq_removal_public_id'))
    )
    with op.batch_alter_table('removal', schema=None) as batch_op:
        batch_op.create_index('ix_removal_lease', ['lease_expires_at'], unique=False)

    op.create_table('confirmed_vector',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('person_id', sa.Integer(), nullable=False),
    sa.Column('face_id', sa.Integer(), nullable=False),
    sa.Column('event_id', sa.Integer(), nullable=False),
    sa.Column('engine', sa.String(length=255), nullable=False),
    sa.Column('version', sa.String(length=255), nullable=False),
    sa.Column('external_id', sa.String(length=255), nullable=False),
    sa.ForeignKeyConstraint(['event_id'], ['event.id'], name=op.f('fk_confirmed_vector_event_id_event'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['face_id'], ['face.id'], name=op.f('fk_confirmed_vector_face_id_face'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name=op.f('fk_confirmed_vector_person_id_person'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_confirmed_vector')),
    sa.UniqueConstraint('person_id', 'face_id', 'engine', 'version', name=op.f('uq_confirmed_vector_person_id_face_id_engine_version'))
    )
    with op.batch_alter_table('confirmed_vector', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_confirmed_vector_event_id'), ['event_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_confirmed_vector_face_id'), ['face_id'], unique=False)

    op.create_table('user_score',
    sa.Column('face_id', sa.Integer(), nullable=False),
    sa.Column('person_id', sa.Integer(), nullable=False),
    sa.Column('user_key', sa.String(length=255), nullable=False),
    sa.Column('similarity', sa.Double(), nullable=False),
    sa.ForeignKeyConstraint(['face_id'], ['face.id'], name=op.f('fk_user_score_face_id_face'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name=op.f('fk_user_score_person_id_person'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('face_id', 'person_id', name=op.f('pk_user_score'))
    )
    with op.batch_alter_table('user_score', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_user_score_person_id'), ['person_id'], unique=False)

    with op.batch_alter_table('event', schema=None) as batch_op:
        batch_op.add_column(sa.Column('call_limit', sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column('reconcile_requested_at', sa.DateTime(timezone=True), nullable=True))

    with op.batch_alter_table('person', schema=None) as batch_op:
        batch_op.add_column(sa.Column('match_failure', sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column('match_capped', sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column('templates_revision', sa.Integer(), nullable=False, server_default='0'))
        batch_op.add_column(sa.Column('user_key', sa.String(length=255), nullable=True))



def downgrade() -> None:
    with op.batch_alter_table('person', schema=None) as batch_op:
        batch_op.drop_column('user_key')
        batch_op.drop_column('templates_revision')
        batch_op.drop_column('match_capped')
        batch_op.drop_column('match_failure')

    with op.batch_alter_table('event', schema=None) as batch_op:
        batch_op.drop_column('reconcile_requested_at')
        batch_op.drop_column('call_limit')

    with op.batch_alter_table('user_score', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_user_score_person_id'))

    op.drop_table('user_score')
    with op.batch_alter_table('confirmed_vector', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_confirmed_vector_face_id'))
        batch_op.drop_index(batch_op.f('ix_confirmed_vector_event_id'))

    op.drop_table('confirmed_vector')
    with op.batch_alter_table('removal', schema=None) as batch_op:
        batch_op.drop_index('ix_removal_lease')

    op.drop_table('removal')
    op.drop_table('installation_fact')
    op.drop_table('engine_usage')
    op.drop_table('alarm')
