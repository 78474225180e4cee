"""Reads a devchain and acts on it with Bittensor's SDK 11.3, unmodified.

The last line of the output is JSON: each step's answer by its name.
"""

import json
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import bittensor
from bittensor.sp_core import Keypair

URL = sys.argv[1]
NETUID = 1
FIRST_BLOCK = 1


def key(name: str) -> Keypair:
    return Keypair.create_from_uri(f"//{name}")


def wallet(name: str) -> SimpleNamespace:
    """The keys of the development URIs //Cold and //<name>, in the shape of a wallet."""
    return SimpleNamespace(coldkey=key("Cold"), coldkeypub=key("Cold"), hotkey=key(name))


def told(result) -> dict:
    """How the SDK tells the outcome of an extrinsic."""
    return {"success": result.success, "message": result.message, "error": result.error and repr(result.error)}


def steps(chain: bittensor.SyncClient) -> Iterator[tuple[str, Callable[[], object]]]:
    miner, cold, stranger = wallet("Miner"), key("Cold").ss58_address, key("Stranger").ss58_address
    hotkey, axon = miner.hotkey.ss58_address, ("SubtensorModule", "Axons")

    yield "balance", lambda: chain.balances.get(cold).rao
    yield "balance in the first block", lambda: chain.balances.get(cold, block=FIRST_BLOCK).rao
    yield "uid", lambda: chain.read("uid", hotkey_ss58=hotkey, netuid=NETUID)
    yield "stranger's uid", lambda: chain.read("uid", hotkey_ss58=stranger, netuid=NETUID)
    yield "subnet", lambda: vars(chain.read("subnet", netuid=NETUID))
    yield "tempo", lambda: chain.query(("SubtensorModule", "Tempo"), [NETUID])
    yield "hotkeys", lambda: [hotkey for _, hotkey in chain.query_map(("SubtensorModule", "Keys"), [NETUID])]
    yield "timestamp", lambda: chain.timestamp().timestamp()
    yield "token symbols", lambda: chain.token_symbols
    yield "transfer", lambda: told(chain.execute(bittensor.Transfer(dest_ss58=stranger, amount_tao=5), miner))
    yield "stranger's balance", lambda: chain.balances.get(stranger).rao
    yield "serve_axon", lambda: told(
        chain.execute(bittensor.ServeAxon(netuid=NETUID, ip="127.0.0.2", port=8091), miner)
    )
    yield "refused axon", lambda: told(
        chain.execute(bittensor.ServeAxon(netuid=NETUID, ip="127.0.0.1", port=8091), miner)
    )
    yield "module error", lambda: told(chain.execute(bittensor.StartCall(netuid=NETUID), miner))
    yield "axon", lambda: {name: chain.query(axon, [NETUID, hotkey])[name] for name in ("ip", "port", "protocol")}


def main() -> None:
    answers = {}
    with bittensor.SyncClient(URL, fallback_endpoints=[], archive_endpoints=[]) as chain:
        for name, step in steps(chain):
            try:
                answers[name] = step()
            except Exception as error:
                answers[name] = {"raised": repr(error)}
    print(f"\n{json.dumps(answers, default=str)}")


main()
