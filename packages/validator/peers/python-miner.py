"""A miner built on the messages of the published package: reads what a validator sends, and answers by the job's image.

Reads {"validator": hotkey, "miner": URI} from stdin. Prints {"port", "types"}, and a line of JSON for each frame that
it reads. Ends with stdin.
"""

import asyncio
import json
import sys
from typing import get_args

import bittensor
import websockets
from compute_horde.protocol_messages import (
    V0AcceptJobRequest,
    V0DeclineJobRequest,
    V0ExecutionDoneRequest,
    V0ExecutorManifestRequest,
    V0ExecutorReadyRequest,
    V0HordeFailedRequest,
    V0InitialJobRequest,
    V0JobAcceptedReceiptRequest,
    V0JobFailedRequest,
    V0JobFinishedReceiptRequest,
    V0JobFinishedRequest,
    V0JobRequest,
    V0MachineSpecsRequest,
    V0VolumesReadyRequest,
    ValidatorAuthForMiner,
    ValidatorToMinerMessage,
    parse_validator_to_miner_message,
)
from compute_horde.receipts.schemas import Receipt
from compute_horde.utils import sign_blob, verify_blob_signature

request = json.loads(sys.stdin.readline())
validator, keypair = request['validator'], bittensor.Keypair.create_from_uri(request['miner'])
connections = 0
# All that a validator may send.
TYPES = [message.model_fields['message_type'].default for message in get_args(get_args(ValidatorToMinerMessage)[0])]
# The jobs whose connection was cut when their work came.
lost = []


def is_signed(message):
    """Says whether the validator signed the frame, by the package's own checks. None: the frame has no signature."""
    if isinstance(message, ValidatorAuthForMiner):
        return verify_blob_signature(validator, message.blob_for_signing(), message.signature)
    if isinstance(message, V0InitialJobRequest | V0JobRequest):
        return message.is_signed_by(validator) and not message.is_signed_by(keypair.ss58_address)
    return None


def is_receipt_good(message):
    """Countersigns a receipt, and says whether other validators would take it. None: the frame has no receipt."""
    if isinstance(message, V0InitialJobRequest):
        payload, signature = message.job_started_receipt_payload, message.job_started_receipt_signature
    elif isinstance(message, V0JobAcceptedReceiptRequest | V0JobFinishedReceiptRequest):
        payload, signature = message.payload, message.signature
    else:
        return None
    countersignature = sign_blob(keypair, payload.blob_for_signing())
    receipt = Receipt(payload=payload, validator_signature=signature, miner_signature=countersignature)
    receipt = Receipt.model_validate_json(receipt.model_dump_json())
    return receipt.verify_validator_signature() and receipt.verify_miner_signature()


def read(connection, frame):
    """Parses a frame and prints what it is. Returns None for one that is malformed."""
    content = json.loads(frame)
    line = {'connection': connection, 'type': content.get('message_type'), 'content': content}
    message = None
    try:
        message = parse_validator_to_miner_message(frame)
        understood = json.loads(message.model_dump_json())
        line |= {'signed': is_signed(message), 'receipt': is_receipt_good(message), 'understood': understood}
    except Exception as error:
        line['error'] = repr(error)
    print(json.dumps(line), flush=True)
    return message


def answers_to_offer(uuid, image):
    if image == 'declined':
        return [V0DeclineJobRequest(job_uuid=uuid, reason='busy', message='full')]
    accept = V0AcceptJobRequest(job_uuid=uuid)
    if image == 'not-prepared':
        reasons = {'reported_by': 'miner', 'reason': 'executor_spinup_failed', 'message': 'no executor'}
        return [accept, V0HordeFailedRequest(job_uuid=uuid, **reasons)]
    return [accept, V0ExecutorReadyRequest(job_uuid=uuid)]


def answers_to_work(uuid, image):
    volumes = V0VolumesReadyRequest(job_uuid=uuid)
    if image == 'failed':
        outputs = {'docker_process_stdout': 'out', 'docker_process_stderr': 'err', 'docker_process_exit_status': 3}
        reasons = {'reason': 'nonzero_return_code', 'stage': 'execution', 'message': 'failed'}
        return [volumes, V0JobFailedRequest(job_uuid=uuid, **reasons, **outputs)]
    specs = V0MachineSpecsRequest(job_uuid=uuid, specs={'specs': {'cpu': {'count': 1}}})
    outputs = {'docker_process_stdout': 'right', 'docker_process_stderr': ''}
    results = {'artifacts': {'/artifacts/a': 'YQ=='}, 'upload_results': {'a': '{"headers": {}, "body": "taken"}'}}
    end = V0JobFinishedRequest(job_uuid=uuid, **outputs, **results)
    return [volumes, V0ExecutionDoneRequest(job_uuid=uuid), specs, end]


async def serve(socket):
    global connections
    connections += 1
    connection = connections

    async def say(*messages):
        for message in messages:
            await socket.send(message.model_dump_json())

    async for frame in socket:
        message = read(connection, frame)
        if isinstance(message, ValidatorAuthForMiner):
            await say(V0ExecutorManifestRequest(manifest={'always_on.test': 2}))
            for uuid in lost:
                await say(*answers_to_offer(uuid, ''), *answers_to_work(uuid, ''))
            lost.clear()
        elif isinstance(message, V0InitialJobRequest):
            if message.docker_image == 'errors':
                await socket.send('no JSON')
            await say(*answers_to_offer(message.job_uuid, message.docker_image))
        elif isinstance(message, V0JobRequest) and message.docker_image == 'lost':
            lost.append(message.job_uuid)
            return socket.transport.abort()
        elif isinstance(message, V0JobRequest):
            await say(*answers_to_work(message.job_uuid, message.docker_image))


async def main():
    async with websockets.serve(serve, '127.0.0.2', 0, max_size=None) as server:
        port = server.sockets[0].getsockname()[1]
        print(json.dumps({'port': port, 'types': TYPES}), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


asyncio.run(main())
