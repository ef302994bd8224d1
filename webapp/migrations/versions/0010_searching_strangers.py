"""limits of selfies, and alerts about who may be searching for strangers

Revision ID: 0010
Revises: 0009
Create Date: 2026-11-30 12:10:00.000000

"""
from alembic import op
import sqlalchemy as sa




# revision identifiers, used by Alembic.
revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None

OPEN = sa.text('decided_at IS NULL')
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    with op.batch_alter_table('membership', schema=None) as batch_op:
        batch_op.add_column(sa.Column('selfies_counted', sa.Integer(), nullable=False, server_default='0'))
        batch_op.add_column(sa.Column('selfies_counted_since', MOMENT, nullable=True))
        batch_op.add_column(sa.Column('selfie_allowance', sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column('faces_seen', sa.Integer(), nullable=False, server_default='0'))
        batch_op.add_column(sa.Column('faces_drift', sa.Double(), nullable=False, server_default='0'))
        batch_op.add_column(sa.Column('search_stopped_at', MOMENT, nullable=True))
    with op.batch_alter_table('selfie', schema=None) as batch_op:
        batch_op.add_column(sa.Column('source', sa.String(length=20), nullable=False, server_default='unknown'))
        batch_op.add_column(sa.Column('device', sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column('network', sa.String(length=255), nullable=True))
    # Whoever is searched for already has shown one face.
    op.execute(sa.text(
        "UPDATE membership SET faces_seen = 1 WHERE id IN (SELECT person.membership_id FROM person "
        "JOIN selfie ON selfie.person_id = person.id WHERE selfie.status = 'accepted' AND selfie.retired_at IS NULL)"
    ))
    op.create_table(
        'search_alert',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('public_id', sa.String(length=255), nullable=False),
        sa.Column('event_id', sa.Integer(), nullable=False),
        sa.Column('kind', sa.String(length=20), nullable=False),
        sa.Column('subject', sa.String(length=255), nullable=False),
        sa.Column('raised_at', MOMENT, nullable=False),
        sa.Column('decided_at', MOMENT, nullable=True),
        sa.Column('decided_by_id', sa.Integer(), nullable=True),
        sa.Column('decision', sa.String(length=20), nullable=True),
        sa.ForeignKeyConstraint(['event_id'], ['event.id'], ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['decided_by_id'], ['user.id'], ondelete='SET NULL'),
        sa.PrimaryKeyConstraint('id'),
        sa.UniqueConstraint('public_id'),
    )
    with op.batch_alter_table('search_alert', schema=None) as batch_op:
        batch_op.create_index('ix_search_alert_decided_by_id', ['decided_by_id'], unique=False)
        batch_op.create_index(
            'uq_search_alert_open', ['event_id', 'kind', 'subject'], unique=True,
            sqlite_where=OPEN, postgresql_where=OPEN,
        )
    op.create_table(
        'search_alert_member',
        sa.Column('alert_id', sa.Integer(), nullable=False),
        sa.Column('membership_id', sa.Integer(), nullable=False),
        sa.Column('stopped', sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(['alert_id'], ['search_alert.id'], ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['membership_id'], ['membership.id'], ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('alert_id', 'membership_id'),
    )
    with op.batch_alter_table('search_alert_member', schema=None) as batch_op:
        batch_op.create_index('ix_search_alert_member_membership_id', ['membership_id'], unique=False)
    op.create_table(
        'device_faces',
        sa.Column('event_id', sa.Integer(), nullable=False),
        sa.Column('device', sa.String(length=255), nullable=False),
        sa.Column('faces', sa.Integer(), nullable=False),
        sa.Column('drift', sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(['event_id'], ['event.id'], ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('event_id', 'device'),
    )


def downgrade() -> None:
    op.drop_table('device_faces')
    op.drop_table('search_alert_member')
    op.drop_table('search_alert')
    with op.batch_alter_table('selfie', schema=None) as batch_op:
        batch_op.drop_column('network')
        batch_op.drop_column('device')
        batch_op.drop_column('source')
    with op.batch_alter_table('membership', schema=None) as batch_op:
        batch_op.drop_column('search_stopped_at')
        batch_op.drop_column('faces_drift')
        batch_op.drop_column('faces_seen')
        batch_op.drop_column('selfie_allowance')
        batch_op.drop_column('selfies_counted_since')
        batch_op.drop_column('selfies_counted')
