"""identity: claims of addresses, devices, budgets of mails

Revision ID: 0012
Revises: 0011
Create Date: 2026-11-30 12:10:00.000000

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '0012'
down_revision = '0011'
branch_labels = None
depends_on = None

user = sa.table('user', *map(sa.column, ('id', 'public_id', 'email', 'email_verified_at', 'email_claimed_at', 'created_at')))
link = sa.table('sign_in_link', *map(sa.column, ('user_id', 'email')))
membership = sa.table('membership', *map(sa.column, ('id', 'event_id', 'user_id', 'claimed_email')))
mail = sa.table('mail', *map(sa.column, ('kind', 'recipient', 'recipient_key', 'purpose')))


def upgrade() -> None:
    with op.batch_alter_table('user', schema=None) as batch_op:
        batch_op.alter_column('email', existing_type=sa.String(length=255), nullable=True)
        batch_op.add_column(sa.Column('email_claimed_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('device', sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column('password_tag', sa.Integer(), nullable=True))
    # Whoever joined before has 48 hours from now on, since nobody was told of that before.
    unproven = user.c.email_verified_at.is_(None)
    op.execute(sa.update(user).where(unproven).values(email_claimed_at=sa.func.current_timestamp()))

    with op.batch_alter_table('sign_in_link', schema=None) as batch_op:
        batch_op.add_column(sa.Column('email', sa.String(length=255), nullable=False, server_default=''))
    address = sa.select(user.c.email).where(user.c.id == link.c.user_id).scalar_subquery()
    op.execute(sa.update(link).values(email=address))
    with op.batch_alter_table('sign_in_link', schema=None) as batch_op:
        batch_op.alter_column('email', server_default=None)

    with op.batch_alter_table('membership', schema=None) as batch_op:
        batch_op.add_column(sa.Column('claimed_email', sa.String(length=255), nullable=True))
    hold_first()
    with op.batch_alter_table('membership', schema=None) as batch_op:
        batch_op.create_unique_constraint('uq_membership_event_id_claimed_email', ['event_id', 'claimed_email'])

    with op.batch_alter_table('mail', schema=None) as batch_op:
        batch_op.add_column(sa.Column('recipient_key', sa.String(length=255), nullable=False, server_default=''))
        batch_op.add_column(sa.Column('purpose', sa.String(length=255), nullable=False, server_default=''))
        batch_op.create_index('ix_mail_budget', ['recipient_key', 'purpose', 'created_at'], unique=False)
    purpose = sa.case((mail.c.kind == 'sign_in', 'asked'), else_='invitation')
    op.execute(sa.update(mail).values(recipient_key=sa.func.lower(mail.c.recipient), purpose=purpose))


def hold_first() -> None:
    """Of several unproven accounts of one address in one event, the first holds it."""
    of_unproven = membership.join(user, sa.and_(user.c.id == membership.c.user_id, user.c.email_verified_at.is_(None)))
    first = sa.select(sa.func.min(membership.c.id)).select_from(of_unproven).group_by(membership.c.event_id, user.c.email)
    address = sa.select(user.c.email).where(user.c.id == membership.c.user_id).scalar_subquery()
    op.execute(sa.update(membership).where(membership.c.id.in_(first)).values(claimed_email=address))


def downgrade() -> None:
    with op.batch_alter_table('mail', schema=None) as batch_op:
        batch_op.drop_index('ix_mail_budget')
        batch_op.drop_column('purpose')
        batch_op.drop_column('recipient_key')
    with op.batch_alter_table('membership', schema=None) as batch_op:
        batch_op.drop_constraint('uq_membership_event_id_claimed_email', type_='unique')
        batch_op.drop_column('claimed_email')
    with op.batch_alter_table('sign_in_link', schema=None) as batch_op:
        batch_op.drop_column('email')
    # An account without an address had none that anybody had proven; one that nobody can have stands in for it.
    op.execute(sa.update(user).where(user.c.email.is_(None)).values(email=user.c.public_id + '@dropped.invalid'))
    with op.batch_alter_table('user', schema=None) as batch_op:
        batch_op.drop_column('password_tag')
        batch_op.drop_column('device')
        batch_op.drop_column('email_claimed_at')
        batch_op.alter_column('email', existing_type=sa.String(length=255), nullable=False)
