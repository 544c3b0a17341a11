"""Client tokens and invitations as operations on rooms, on both databases (contract section 4)."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portico.core import tokens as core_tokens
from portico.core.errors import Forbidden, NotFound, TokenRevoked
from portico.core.tokens import Claims, Permissions, TokenKind
from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.services import participants, rooms, tokens
from portico.services.participants import Joined
from portico.services.tokens import TokenKeys
from tests.factories import NOW, a_gateway, a_participant, a_room, an_account, gateway_of, participant, rows

SECOND = timedelta(seconds=1)


async def test_a_pair_of_tokens_with_the_default_lifetimes(database: Database) -> None:
    def generate(tx: Transaction) -> None:
        keys, account_id, room_id = _start(tx)
        made = tokens.generate(tx, keys, account_id, room_id, now=NOW)
        whole = NOW.replace(microsecond=0)
        assert made.token_expires_at == whole + timedelta(seconds=600)
        assert made.refresh_token_expires_at == whole + timedelta(seconds=3600)
        assert made.refresh_token is not None
        access = core_tokens.verify(made.token, "access", keys.accepted, room_id=room_id, now=NOW)
        refresh = core_tokens.verify(made.refresh_token, "refresh", keys.accepted, room_id=room_id, now=NOW)
        assert access.account_id == refresh.account_id == account_id
        assert UUID(access.jti).version == UUID(refresh.jti).version == 4
        assert access.jti != refresh.jti
        assert tokens.complaint_about(tx, access) is None
        assert access.grant_id == refresh.grant_id

    await database.write(generate)


async def test_chosen_lifetimes(database: Database) -> None:
    def generate(tx: Transaction) -> None:
        keys, account_id, room_id = _start(tx)
        made = tokens.generate(tx, keys, account_id, room_id, now=NOW, token_ttl_secs=10, refresh_token_ttl_secs=86400)
        whole = NOW.replace(microsecond=0)
        assert made.token_expires_at == whole + timedelta(seconds=10)
        assert made.refresh_token_expires_at == whole + timedelta(seconds=86400)

    await database.write(generate)


async def test_no_tokens_for_a_room_that_is_not_there_or_not_ones_own(database: Database) -> None:
    def generate(tx: Transaction) -> None:
        keys, account_id, room_id = _start(tx)
        foreign = a_room(tx, account="other")
        rooms.delete(tx, account_id, room_id, now=NOW)
        for asked in (room_id, foreign, str(uuid4())):
            with pytest.raises(NotFound):
                tokens.generate(tx, keys, account_id, asked, now=NOW)

    await database.write(generate)


async def test_a_refresh_token_is_not_consumed_and_its_fruit_may_outlive_it(database: Database) -> None:
    def refresh(tx: Transaction) -> None:
        keys, account_id, room_id = _start(tx)
        text, expires_at = _refresh_token(tx, keys, account_id, room_id)
        last = expires_at - SECOND
        answers = [tokens.refresh(tx, keys, room_id, text, now=last) for _ in range(2)]
        assert len({answer.token for answer in answers}) == 2
        for answer in answers:
            assert (answer.refresh_token, answer.refresh_token_expires_at) == (None, None)
            assert answer.token_expires_at == last + timedelta(seconds=600)
            assert core_tokens.verify(answer.token, "access", keys.accepted, room_id=room_id, now=last)

    await database.write(refresh)


async def test_an_expired_refresh_token_is_forbidden_as_expired(database: Database) -> None:
    def refresh(tx: Transaction) -> None:
        keys, account_id, room_id = _start(tx)
        text, expires_at = _refresh_token(tx, keys, account_id, room_id)
        with pytest.raises(Forbidden) as refusal:
            tokens.refresh(tx, keys, room_id, text, now=expires_at)
        assert refusal.value.expired

    await database.write(refresh)


@pytest.mark.parametrize("wrong", ["garbage", "", "access", "other room", "tampered", "foreign", "deleted", "moved"])
async def test_refreshing_is_forbidden(database: Database, wrong: str) -> None:
    def refresh(tx: Transaction) -> None:
        keys, account_id, room_id = _start(tx)
        text, _ = _refresh_token(tx, keys, account_id, room_id)
        match wrong:
            case "garbage" | "":
                text = wrong
            case "access":
                text = tokens.generate(tx, keys, account_id, room_id, now=NOW).token
            case "other room":
                text, _ = _refresh_token(tx, keys, account_id, a_room(tx))
            case "tampered":
                text = text[:-9] + ("A" if text[-9] != "A" else "B") + text[-8:]
            case "foreign":
                seed = bytes(range(32))
                pair = Ed25519PrivateKey.from_private_bytes(seed)
                foreign = TokenKeys(pair, (pair.public_key(),), b"")
                text, _ = _refresh_token(tx, foreign, account_id, room_id)
            case "deleted":
                rooms.delete(tx, account_id, room_id, now=NOW)
            case "moved":
                other = an_account(tx, "other")
                tx.execute(schema.rooms.update().values(account_id=other))
        with pytest.raises(Forbidden) as refusal:
            tokens.refresh(tx, keys, room_id, text, now=NOW)
        assert not refusal.value.expired

    await database.write(refresh)


async def test_an_access_token_of_a_deleted_room_admits_no_more(database: Database) -> None:
    def delete(tx: Transaction) -> None:
        keys, account_id, room_id = _start(tx)
        made = tokens.generate(tx, keys, account_id, room_id, now=NOW)
        claims = core_tokens.verify(made.token, "access", keys.accepted, room_id=room_id, now=NOW)
        rooms.delete(tx, account_id, room_id, now=NOW)
        assert tokens.complaint_about(tx, claims) == "The token's room does not exist."

    await database.write(delete)


# Tokens of one grant, and their revocation.


async def test_the_tokens_of_one_holder_are_of_one_grant_and_anothers_are_not(database: Database) -> None:
    def generate(tx: Transaction) -> None:
        keys, account_id, room_id = _start(tx)
        grants = []
        for _ in range(20):
            made = tokens.generate(tx, keys, account_id, room_id, now=NOW)
            assert made.refresh_token is not None
            refreshed = tokens.refresh(tx, keys, room_id, made.refresh_token, now=NOW)
            own = [
                _claims(keys, room_id, made.token),
                _claims(keys, room_id, made.refresh_token, "refresh"),
                _claims(keys, room_id, refreshed.token),
            ]
            assert len({each.jti for each in own}) == 3
            assert len({each.grant_id for each in own}) == 1
            grants.append(own[0].grant_id)
        assert len(set(grants)) == 20

    await database.write(generate)


async def test_a_revoked_grant_admits_no_client_and_refreshes_nothing(database: Database) -> None:
    def revoke(tx: Transaction) -> None:
        keys, account_id, room_id = _start(tx)
        hers, his = (tokens.generate(tx, keys, account_id, room_id, now=NOW) for _ in range(2))
        assert hers.refresh_token is not None
        assert his.refresh_token is not None
        refreshed = tokens.refresh(tx, keys, room_id, hers.refresh_token, now=NOW)
        _revoke(tx, room_id, _claims(keys, room_id, hers.token))
        for text in (hers.token, refreshed.token):
            assert tokens.complaint_about(tx, _claims(keys, room_id, text)) == "The token was revoked."
        with pytest.raises(Forbidden, match="revoked") as refusal:
            tokens.refresh(tx, keys, room_id, hers.refresh_token, now=NOW)
        assert not refusal.value.expired
        assert tokens.complaint_about(tx, _claims(keys, room_id, his.token)) is None
        assert tokens.refresh(tx, keys, room_id, his.refresh_token, now=NOW).token

    await database.write(revoke)


@pytest.mark.parametrize("shown", ["access", "refreshed"])
async def test_whichever_token_of_a_grant_was_shown_all_of_it_is_revoked(database: Database, shown: str) -> None:
    def revoke(tx: Transaction) -> None:
        keys, account_id, room_id = _start(tx)
        made = tokens.generate(tx, keys, account_id, room_id, now=NOW)
        assert made.refresh_token is not None
        refreshed = tokens.refresh(tx, keys, room_id, made.refresh_token, now=NOW)
        _revoke(tx, room_id, _claims(keys, room_id, made.token if shown == "access" else refreshed.token))
        for text in (made.token, refreshed.token):
            assert tokens.is_revoked(tx, _claims(keys, room_id, text))

    await database.write(revoke)


async def test_every_token_that_a_participant_has_shown_is_revoked_once(database: Database) -> None:
    def revoke(tx: Transaction) -> None:
        keys, account_id, room_id = _start(tx)
        grants = []
        joined = a_participant(tx, room_id)
        for _ in range(3):
            claims = _claims(keys, room_id, tokens.generate(tx, keys, account_id, room_id, now=NOW).token)
            grants.append(claims.grant_id)
            for _ in range(2):
                tokens.note_shown(tx, joined.participant_id, claims)
        people = [participant(tx, joined.participant_id)]
        for _ in range(2):
            tokens.revoke_those_of(tx, people, NOW)
        assert sorted(each.grant_id for each in rows(tx, schema.revoked_tokens)) == sorted(grants)

    await database.write(revoke)


async def test_a_participant_who_showed_no_token_has_none_to_revoke(database: Database) -> None:
    def revoke(tx: Transaction) -> None:
        joined = a_participant(tx, a_room(tx))
        tokens.revoke_those_of(tx, [participant(tx, joined.participant_id)], NOW)
        assert rows(tx, schema.revoked_tokens) == []

    await database.write(revoke)


async def test_a_revoked_token_does_not_join_and_leaves_no_trace(database: Database) -> None:
    def join(tx: Transaction) -> None:
        keys, account_id, room_id = _start(tx)
        claims = _claims(keys, room_id, tokens.generate(tx, keys, account_id, room_id, now=NOW).token)
        _revoke(tx, room_id, claims)
        before = [rows(tx, table) for table in (schema.room_sessions, schema.room_participants, schema.events)]
        with pytest.raises(TokenRevoked):
            _join(tx, room_id, claims)
        assert [rows(tx, table) for table in (schema.room_sessions, schema.room_participants, schema.events)] == before

    await database.write(join)


async def test_a_revocation_is_kept_until_the_last_token_of_its_grant_has_expired(database: Database) -> None:
    def forget(tx: Transaction) -> None:
        keys, account_id, room_id = _start(tx)
        longest: Any = {"token_ttl_secs": 3600, "refresh_token_ttl_secs": 86400}
        made = tokens.generate(tx, keys, account_id, room_id, now=NOW, **longest)
        assert made.refresh_token is not None
        assert made.refresh_token_expires_at is not None
        at_the_last_moment = made.refresh_token_expires_at - SECOND
        last = tokens.refresh(tx, keys, room_id, made.refresh_token, now=at_the_last_moment, token_ttl_secs=3600)
        claims = _claims(keys, room_id, made.token)
        _revoke(tx, room_id, claims)
        assert tokens.forget_expired(tx, last.token_expires_at) == 0
        assert tokens.is_revoked(tx, claims)
        assert tokens.forget_expired(tx, NOW + tokens.LONGEST_LIFE) == 1
        assert tokens.forget_expired(tx, NOW + tokens.LONGEST_LIFE) == 0
        assert not tokens.is_revoked(tx, claims)

    await database.write(forget)


async def test_permissions_and_the_name_come_with_the_token_and_with_what_is_refreshed(database: Database) -> None:
    def generate(tx: Transaction) -> None:
        keys, account_id, room_id = _start(tx)
        viewer = Permissions("viewer-1", can_publish=False, can_send_messages=False)
        made = tokens.generate(tx, keys, account_id, room_id, now=NOW, permissions=viewer)
        assert made.refresh_token is not None
        refreshed = tokens.refresh(tx, keys, room_id, made.refresh_token, now=NOW)
        for text in (made.token, refreshed.token):
            assert _claims(keys, room_id, text).permissions == viewer
        joined = _join(tx, room_id, _claims(keys, room_id, refreshed.token))
        assert participant(tx, joined.participant_id).label == "viewer-1"

    await database.write(generate)


async def test_the_keys_are_made_once(database: Database) -> None:
    def load_twice(tx: Transaction) -> None:
        first, second = tokens.load_keys(tx, NOW), tokens.load_keys(tx, NOW + SECOND)
        assert first.invite == second.invite
        assert len(first.invite) == 32
        assert first.current.private_bytes_raw() == second.current.private_bytes_raw()
        assert len(rows(tx, schema.signing_keys)) == 2

    await database.write(load_twice)


async def test_a_retired_key_signs_nothing_and_ends_nothing(database: Database) -> None:
    def rotate(tx: Transaction) -> None:
        keys, account_id, room_id = _start(tx)
        before, _ = _refresh_token(tx, keys, account_id, room_id)
        retired = schema.signing_keys.update().where(schema.signing_keys.c.purpose == "token")
        tx.execute(retired.values(retired_at=NOW))
        rotated = tokens.load_keys(tx, NOW)
        assert rotated.current.private_bytes_raw() != keys.current.private_bytes_raw()
        assert len(rotated.accepted) == 2
        assert rotated.invite == keys.invite
        renewed = tokens.refresh(tx, rotated, room_id, before, now=NOW)
        with pytest.raises(core_tokens.TokenRefused):
            core_tokens.verify(renewed.token, "access", keys.accepted, room_id=room_id, now=NOW)

    await database.write(rotate)


async def test_the_holder_of_a_meeting_link_gets_tokens(database: Database) -> None:
    def redeem(tx: Transaction) -> None:
        keys, account_id, room_id = _start(tx)
        link = tokens.invite(keys, room_id)
        made = tokens.redeem(tx, keys, room_id, link, now=NOW)
        claims = core_tokens.verify(made.token, "access", keys.accepted, room_id=room_id, now=NOW)
        assert claims.account_id == account_id
        assert made.refresh_token
        assert link == tokens.invite(keys, room_id), "a link stays good"
        assert link.isascii()
        assert set(link).isdisjoint("/+=?#& ")

    await database.write(redeem)


@pytest.mark.parametrize("wrong", ["", "x", "é", "\ud800", "\0", "longer", "shorter", "other", "case"])
async def test_a_wrong_link_is_not_found(database: Database, wrong: str) -> None:
    def redeem(tx: Transaction) -> None:
        keys, _, room_id = _start(tx)
        link = tokens.invite(keys, room_id)
        made_up = {
            "longer": link + "A",
            "shorter": link[:-1],
            "other": tokens.invite(keys, a_room(tx)),
            "case": link.swapcase(),
        }
        with pytest.raises(NotFound):
            tokens.redeem(tx, keys, room_id, made_up.get(wrong, wrong), now=NOW)

    await database.write(redeem)


async def test_a_link_to_a_deleted_room_is_not_found(database: Database) -> None:
    def redeem(tx: Transaction) -> None:
        keys, account_id, room_id = _start(tx)
        rooms.delete(tx, account_id, room_id, now=NOW)
        with pytest.raises(NotFound, match="any more"):
            tokens.redeem(tx, keys, room_id, tokens.invite(keys, room_id), now=NOW)

    await database.write(redeem)


async def test_a_link_of_another_installation_is_not_found(database: Database) -> None:
    def redeem(tx: Transaction) -> None:
        keys, _, room_id = _start(tx)
        foreign = TokenKeys(keys.current, keys.accepted, bytes(32))
        with pytest.raises(NotFound):
            tokens.redeem(tx, keys, room_id, tokens.invite(foreign, room_id), now=NOW)

    await database.write(redeem)


async def test_the_first_link_of_a_room_is_the_one_that_was_made_before_there_were_generations(
    database: Database,
) -> None:
    def check(tx: Transaction) -> None:
        room_id = "0ccc7b54-4df3-4bca-a65a-35a1ecc777f0"
        keys = tokens.load_keys(tx, NOW)
        fixed = TokenKeys(keys.current, keys.accepted, bytes(32))
        assert tokens.invite(fixed, room_id) == "06DAotfdVLCf9u_7axHmOA"
        assert len({tokens.invite(fixed, room_id, generation) for generation in range(20)}) == 20

    await database.write(check)


async def test_a_void_link_is_not_found_by_any_client(database: Database) -> None:
    """Neither a new browser nor one with a grant gets tokens; those made before stay valid, and so do other rooms."""

    def check(tx: Transaction) -> None:
        keys, account_id, room_id = _start(tx)
        other = a_room(tx)
        link, grant = tokens.invite(keys, room_id), tokens.grant(keys, room_id)
        made = tokens.redeem(tx, keys, room_id, link, now=NOW, shown=grant)
        rooms.renew_link(tx, account_id, room_id)
        for shown in (None, grant):
            with pytest.raises(NotFound, match="not valid"):
                tokens.redeem(tx, keys, room_id, link, now=NOW, shown=shown)
        with pytest.raises(NotFound):
            tokens.redeem(tx, keys, room_id, tokens.invite(keys, room_id, 2), now=NOW)
        assert tokens.redeem(tx, keys, room_id, tokens.invite(keys, room_id, 1), now=NOW).token
        assert tokens.redeem(tx, keys, other, tokens.invite(keys, other), now=NOW).token
        tokens.check_access(tx, keys, room_id, made.token, now=NOW)
        assert made.refresh_token is not None
        assert tokens.refresh(tx, keys, room_id, made.refresh_token, now=NOW).token

    await database.write(check)


async def test_a_browser_that_was_removed_is_barred_with_the_new_link_too(database: Database) -> None:
    def check(tx: Transaction) -> None:
        keys, account_id, room_id = _start(tx)
        grants = [tokens.grant(keys, room_id) for _ in range(2)]
        first = [tokens.redeem(tx, keys, room_id, tokens.invite(keys, room_id), now=NOW, shown=each) for each in grants]
        joined = _join(tx, room_id, _claims(keys, room_id, first[0].token))
        tokens.revoke_those_of(tx, [participant(tx, joined.participant_id)], NOW)
        rooms.renew_link(tx, account_id, room_id)
        new = tokens.invite(keys, room_id, 1)
        with pytest.raises(Forbidden, match="removed"):
            tokens.redeem(tx, keys, room_id, new, now=NOW, shown=grants[0])
        again = tokens.redeem(tx, keys, room_id, new, now=NOW, shown=grants[1])
        grants = [_claims(keys, room_id, each.token).grant_id for each in (first[1], again)]
        assert grants[0] == grants[1]

    await database.write(check)


async def test_a_link_to_a_room_that_never_was_is_not_found(database: Database) -> None:
    """Even with the right digest: the key is shared by all rooms, also by those that do not exist."""
    keys = await database.write(partial(tokens.load_keys, now=NOW))
    room_id = str(uuid4())
    with pytest.raises(NotFound):
        await database.write(
            partial(tokens.redeem, keys=keys, room_id=room_id, invitation=tokens.invite(keys, room_id), now=NOW)
        )


def _start(tx: Transaction) -> tuple[TokenKeys, str, str]:
    return tokens.load_keys(tx, NOW), an_account(tx), a_room(tx)


def _claims(keys: TokenKeys, room_id: str, text: str, kind: TokenKind = "access") -> Claims:
    return core_tokens.verify(text, kind, keys.accepted, room_id=room_id, now=NOW, leeway=timedelta(days=2))


def _join(tx: Transaction, room_id: str, claims: Claims) -> Joined:
    gateway_id = gateway_of(tx, room_id) or a_gateway(tx)
    return participants.join(tx, room_id, str(uuid4()), None, gateway_id=gateway_id, now=NOW, token=claims)


def _revoke(tx: Transaction, room_id: str, claims: Claims) -> None:
    """Its holder joins and is sent away for good."""
    joined = _join(tx, room_id, claims)
    tokens.revoke_those_of(tx, [participant(tx, joined.participant_id)], NOW)


def _refresh_token(tx: Transaction, keys: TokenKeys, account_id: str, room_id: str) -> tuple[str, datetime]:
    made = tokens.generate(tx, keys, account_id, room_id, now=NOW)
    assert made.refresh_token
    assert made.refresh_token_expires_at
    return made.refresh_token, made.refresh_token_expires_at
