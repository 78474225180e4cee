"""Gives a miner jobs with the published validator client of 2026, and prints how each ended.

Reads lines of {"miner": {"hotkey", "address", "port"}, "validator": URI, "jobs": [job, …]} from stdin. A job has the
fields of OrganicJobDetails; its volume and output are in the form of the wire. The jobs of a line run at once. Prints a
JSON list for each line. Ends with stdin.
"""

import asyncio
import json
import sys
import tempfile

import bittensor
import django
from django.conf import settings
from pydantic import TypeAdapter

RESERVATION_SECONDS = 7
STARTUP_SECONDS = 60

database = tempfile.NamedTemporaryFile(suffix='.sqlite3')
settings.configure(
    DATABASES={'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': database.name}},
    INSTALLED_APPS=['compute_horde.receipts'],
    DEFAULT_AUTO_FIELD='django.db.models.BigAutoField',
    USE_TZ=True,
)
django.setup()

from compute_horde.miner_client.organic import (  # noqa: E402
    MinerRejectedJob,
    MinerReportedHordeFailed,
    MinerReportedJobFailed,
    OrganicJobDetails,
    OrganicMinerClient,
    execute_organic_job_on_miner,
)
from compute_horde_core.executor_class import ExecutorClass  # noqa: E402
from compute_horde_core.output_upload import OutputUpload  # noqa: E402
from compute_horde_core.volume import Volume  # noqa: E402
from django.core.management import call_command  # noqa: E402


def details_of(job):
    timing = job.get('job_timing')
    return OrganicJobDetails(
        **{
            **job,
            'executor_class': ExecutorClass(job['executor_class']),
            'job_timing': timing and OrganicJobDetails.TimingDetails(**timing),
            'volume': job.get('volume') and TypeAdapter(Volume).validate_python(job['volume']),
            'output': job.get('output') and TypeAdapter(OutputUpload).validate_python(job['output']),
        }
    )


async def run(job, miner, keypair):
    details = details_of(job)
    client = OrganicMinerClient(
        miner_hotkey=miner['hotkey'],
        miner_address=miner['address'],
        miner_port=miner['port'],
        job_uuid=details.job_uuid,
        my_keypair=keypair,
    )
    try:
        result = await execute_organic_job_on_miner(client, details, RESERVATION_SECONDS, STARTUP_SECONDS)
        stdout, stderr, artifacts, uploads = result
        return {'end': 'finished', 'stdout': stdout, 'stderr': stderr, 'artifacts': artifacts, 'uploads': uploads}
    except (MinerRejectedJob, MinerReportedJobFailed, MinerReportedHordeFailed) as error:
        return {'end': type(error).__name__, **json.loads(error.msg.model_dump_json())}
    except Exception as error:
        return {'end': type(error).__name__, 'message': str(error)}


async def main():
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        request = json.loads(line)
        keypair = bittensor.Keypair.create_from_uri(request['validator'])
        ends = await asyncio.gather(*(run(job, request['miner'], keypair) for job in request['jobs']))
        print(json.dumps(ends), flush=True)


call_command('migrate', verbosity=0)
asyncio.run(main())
