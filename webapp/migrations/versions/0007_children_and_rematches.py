"""children and rematches

Revision ID: 0007
Revises: 0006
Create Date: 2026-11-30 09:15:00.000000

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None

event = sa.table('event', sa.column('id'), sa.column('rematch_requested_at'))
person = sa.table('person', sa.column('id'), sa.column('event_id'))
selfie = sa.table('selfie', sa.column('person_id'), sa.column('status'), sa.column('retired_at'))
match = sa.table('match', sa.column('person_id'))
rematch = sa.table('rematch', *map(sa.column, ('id', 'event_id', 'trigger', 'requested_at', 'started_at')))
OUTCOME = ('failed', 'added', 'removed', 'changed', 'kept')
rematch_person = sa.table('rematch_person', *map(sa.column, ('rematch_id', 'person_id', *OUTCOME)))
fact = sa.table('installation_fact', sa.column('name'))


def upgrade() -> None:
    op.create_table('rematch',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('event_id', sa.Integer(), nullable=False),
    sa.Column('requested_by_id', sa.Integer(), nullable=True),
    sa.Column('trigger', sa.String(length=20), nullable=False),
    sa.Column('requested_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['event_id'], ['event.id'], name=op.f('fk_rematch_event_id_event'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['requested_by_id'], ['user.id'], name=op.f('fk_rematch_requested_by_id_user'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_rematch'))
    )
    with op.batch_alter_table('rematch', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_rematch_event_id'), ['event_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_rematch_requested_by_id'), ['requested_by_id'], unique=False)

    op.create_table('rematch_person',
    sa.Column('rematch_id', sa.Integer(), nullable=False),
    sa.Column('person_id', sa.Integer(), nullable=False),
    sa.Column('mark', sa.Integer(), nullable=True),
    sa.Column('done_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('failed', sa.Boolean(), nullable=False),
    sa.Column('added', sa.Integer(), nullable=False),
    sa.Column('removed', sa.Integer(), nullable=False),
    sa.Column('changed', sa.Integer(), nullable=False),
    sa.Column('kept', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name=op.f('fk_rematch_person_person_id_person'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['rematch_id'], ['rematch.id'], name=op.f('fk_rematch_person_rematch_id_rematch'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('rematch_id', 'person_id', name=op.f('pk_rematch_person'))
    )
    with op.batch_alter_table('rematch_person', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_rematch_person_person_id'), ['person_id'], unique=False)

    move_requests()
    # Reports of rematches that are over: nobody knows any more which people they were about.
    op.execute(sa.delete(fact).where(fact.c.name.like('rematch:%')))
    with op.batch_alter_table('event', schema=None) as batch_op:
        batch_op.add_column(sa.Column('many_children', sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.drop_column('rematch_requested_at')


def move_requests() -> None:
    """What was asked for and has not started yet is about the people who are searched for now."""
    requested = sa.select(event.c.id, sa.literal('requested'), event.c.rematch_requested_at)
    requested = requested.where(event.c.rematch_requested_at.is_not(None))
    op.execute(rematch.insert().from_select(['event_id', 'trigger', 'requested_at'], requested))
    accepted = sa.exists().where(selfie.c.person_id == person.c.id, selfie.c.status == 'accepted', selfie.c.retired_at.is_(None))
    has_matches = sa.exists().where(match.c.person_id == person.c.id)
    nothing_yet = [sa.false(), *[sa.literal_column('0')] * 4]
    people = sa.select(rematch.c.id, person.c.id, *nothing_yet).select_from(
        rematch.join(person, person.c.event_id == rematch.c.event_id)
    )
    op.execute(rematch_person.insert().from_select(['rematch_id', 'person_id', *OUTCOME], people.where(accepted | has_matches)))


def downgrade() -> None:
    with op.batch_alter_table('event', schema=None) as batch_op:
        batch_op.add_column(sa.Column('rematch_requested_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.drop_column('many_children')
    waiting = sa.select(sa.func.max(rematch.c.requested_at)).where(rematch.c.event_id == event.c.id, rematch.c.started_at.is_(None))
    op.execute(sa.update(event).values(rematch_requested_at=waiting.scalar_subquery()))

    with op.batch_alter_table('rematch_person', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_rematch_person_person_id'))

    op.drop_table('rematch_person')
    with op.batch_alter_table('rematch', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_rematch_requested_by_id'))
        batch_op.drop_index(batch_op.f('ix_rematch_event_id'))

    op.drop_table('rematch')
