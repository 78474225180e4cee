"""The facilitator's side of link 3 with the published package of 2026: signs users' jobs, and reads a validator's frames.

Reads {"user": URI, "jobs": [job, …], "cheats": [report, …], "frames": [frame, …]} from stdin, and prints {"jobs",
"cheats", "frames"}: the jobs and reports as frames with their signatures, and how each of the validator's frames reads.
"""

import json
import sys

import bittensor
from compute_horde.fv_protocol import validator_requests
from compute_horde.fv_protocol.facilitator_requests import V0JobCheated, V2JobRequest
from compute_horde_core.signature import BittensorWalletSigner, Signature, SignatureScope
from pydantic import ValidationError

MESSAGES = {
    'V0AuthenticationRequest': validator_requests.V0AuthenticationRequest,
    'V0Heartbeat': validator_requests.V0Heartbeat,
    'V0JobStatusUpdate': validator_requests.JobStatusUpdate,
    'V0MachineSpecsUpdate': validator_requests.V0MachineSpecsUpdate,
}


def signed(kind, fields, scope, signer):
    # The models refuse a message without a signature, and the signature is over the message's own fields.
    empty = Signature(signature_type='', signatory='', timestamp_ns=0, signature=b'', signature_scope=scope)
    message = kind(**fields, signature=empty)
    signature = signer.sign(payload=message.get_signed_payload())
    signature.signature_scope = scope
    message.signature = signature
    return json.dumps(json.loads(message.model_dump_json()))


def read(frame):
    kind = MESSAGES.get(json.loads(frame).get('message_type'))
    if kind is None:
        return {'error': 'unknown message_type'}
    try:
        message = kind.model_validate_json(frame)
    except ValidationError as error:
        return {'error': str(error)}
    if isinstance(message, validator_requests.V0AuthenticationRequest):
        return {'verifies': message.verify_signature(), 'hotkey': message.ss58_address}
    return {'message': json.loads(message.model_dump_json())}


def main():
    request = json.load(sys.stdin)
    signer = BittensorWalletSigner(bittensor.Keypair.create_from_uri(request['user']))
    print(
        json.dumps(
            {
                'jobs': [signed(V2JobRequest, job, SignatureScope.SignedFields, signer) for job in request['jobs']],
                'cheats': [signed(V0JobCheated, cheat, SignatureScope.FullRequest, signer) for cheat in request['cheats']],
                'frames': [read(frame) for frame in request['frames']],
            }
        )
    )


main()
