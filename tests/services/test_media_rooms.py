"""Which media node a room is on: chosen once, shared by gateways, given up when the node stops."""

from portico.db.engine import Database, Transaction
from portico.services import media_rooms, nodes, participants
from portico.services.media_rooms import Numbers, Placed
from portico.services.nodes import NodeAddress
from portico.services.rows import PARTICIPANT_ROWS
from tests.factories import NOW, a_gateway, a_participant, a_room, fact_names

HOST = "this machine"
ADDRESS = NodeAddress("ws://127.0.0.1:8188", None, "key", None, "/mjr", "1.4.1")


def a_node(tx: Transaction, node_id: str) -> str:
    nodes.register(tx, node_id, ADDRESS, now=NOW)
    return node_id


def enter(tx: Transaction, room_id: str, gateway_id: str, *, number: int, prefer: str | None = None) -> Placed:
    fresh = Numbers(number, number, "secret")
    return media_rooms.enter(tx, room_id, gateway_id, fresh, HOST, prefer=prefer, now=NOW)


def left_reason(tx: Transaction, participant_id: str) -> str | None:
    participants_ = PARTICIPANT_ROWS.select(participants.PARTICIPANTS.c.id == participant_id)
    return PARTICIPANT_ROWS.one(tx, participants_).left_reason


async def test_a_node_that_stops_hands_over_the_participants_of_all_gateways(database: Database) -> None:
    """Its own gateway closes the connections of its own; those elsewhere learn it by their rows."""

    def check(tx: Transaction) -> None:
        stops, other = a_node(tx, "aaaaaaaa"), a_node(tx, "bbbbbbbb")
        own, elsewhere = a_gateway(tx), a_gateway(tx)
        room_id, room_elsewhere = a_room(tx), a_room(tx)
        first = enter(tx, room_id, own, number=1, prefer=stops)
        assert first.node.id == stops
        assert enter(tx, room_id, elsewhere, number=2, prefer=other).id == first.id
        kept = enter(tx, room_elsewhere, elsewhere, number=3, prefer=other)
        anna, ben, cleo = (
            a_participant(tx, of, gateway_id=by).participant_id
            for of, by in ((room_id, own), (room_id, elsewhere), (room_elsewhere, elsewhere))
        )
        participants.hand_over(tx, [room_id, room_elsewhere], stops, own, now=NOW)
        assert media_rooms.open_on(tx, stops) == []
        assert [left_reason(tx, one) for one in (anna, ben, cleo)] == [None, "server_stopped", None]
        assert not media_rooms.is_open(tx, first.id)
        assert nodes.look(tx, own).ended == nodes.look(tx, elsewhere).ended == {first.id: "server_stopped"}
        assert media_rooms.is_open(tx, kept.id)
        again = enter(tx, room_id, elsewhere, number=4, prefer=other)
        assert (again.node.id, again.numbers.video) == (other, 4)
        assert "session.ended" not in fact_names(tx, room_id), "the call goes on"
        assert nodes.mark_lost(tx, other, epoch=1, now=NOW) and nodes.end_lost(tx, room_elsewhere, now=NOW)
        assert nodes.look(tx, elsewhere).ended == {first.id: "server_stopped", kept.id: "media_lost"}

    await database.write(check)


async def test_a_node_that_takes_no_more_rooms_is_not_chosen(database: Database) -> None:
    def check(tx: Transaction) -> None:
        stops, other = a_node(tx, "aaaaaaaa"), a_node(tx, "bbbbbbbb")
        nodes.beat(tx, stops, 1, nodes.NodeLoad(shortage="The media server stops."), now=NOW)
        gateway_id, room_id = a_gateway(tx), a_room(tx)
        assert enter(tx, room_id, gateway_id, number=1, prefer=stops).node.id == other

    await database.write(check)
