"""Reads a devchain and acts on it with Bittensor's SDK 10.5, unmodified.

The last line of the output is JSON: each step's answer by its name.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator

import bittensor
from bittensor_wallet import Wallet

URL = sys.argv[1]
NETUID = 1
FIRST_BLOCK = 1


def wallet(name: str, folder: str) -> Wallet:
    """A wallet whose coldkey and hotkey are those of the development URIs //Cold and //<name>."""
    made = Wallet(name=name, hotkey="default", path=folder)
    made.create_coldkey_from_uri("//Cold", use_password=False, overwrite=True, suppress=True)
    made.create_hotkey_from_uri(f"//{name}", use_password=False, overwrite=True, suppress=True)
    return made


def told(response) -> dict:
    """How the SDK tells the outcome of an extrinsic."""
    return {"success": response.success, "message": response.message, "error": response.error and repr(response.error)}


def steps(chain: bittensor.Subtensor, folder: str) -> Iterator[tuple[str, Callable[[], object]]]:
    validator, newcomer = wallet("Validator", folder), wallet("Newcomer", folder)
    hotkey, cold = validator.hotkey.ss58_address, validator.coldkeypub.ss58_address
    stranger = bittensor.Keypair.create_from_uri("//Stranger").ss58_address

    def call(module: str, function: str, **params) -> dict:
        """Sends a call that the SDK has no function for, or would refuse by itself."""
        composed = chain.compose_call(module, function, params)
        return told(chain.sign_and_send_extrinsic(call=composed, wallet=validator, wait_for_finalization=True))

    yield "balance", lambda: chain.get_balance(cold).rao
    yield "balance in the first block", lambda: chain.get_balance(cold, block=FIRST_BLOCK).rao
    yield "registered", lambda: chain.is_hotkey_registered(hotkey, NETUID)
    yield "stranger registered", lambda: chain.is_hotkey_registered(stranger, NETUID)
    yield "tempo", lambda: chain.tempo(NETUID)
    yield "timestamp", lambda: chain.get_timestamp().timestamp()
    yield "transfer", lambda: told(chain.transfer(validator, stranger, bittensor.Balance.from_tao(5)))
    yield "stranger's balance", lambda: chain.get_balance(stranger).rao
    yield "set_weights", lambda: told(chain.set_weights(validator, NETUID, [1, 2], [0.25, 0.75]))
    yield "weights", lambda: chain.weights(NETUID)
    yield "burned_register", lambda: told(chain.burned_register(newcomer, NETUID))
    yield "newcomer registered", lambda: chain.is_hotkey_registered(newcomer.hotkey.ss58_address, NETUID)
    yield "module error", lambda: call("SubtensorModule", "start_call", netuid=NETUID)
    yield "token error", lambda: call("Balances", "transfer_keep_alive", dest=stranger, value=10**18)


def main() -> None:
    answers = {}
    with tempfile.TemporaryDirectory() as folder, bittensor.Subtensor(network=URL) as chain:
        for name, step in steps(chain, folder):
            try:
                answers[name] = step()
            except Exception as error:
                answers[name] = {"raised": repr(error)}
    print(f"\n{json.dumps(answers, default=str)}")


main()
