"""Loaded by Python before MiniStack starts, as `sitecustomize`."""

import itertools
import os
import random
import socketserver
import time

from ministack.core.responses import error_response_json
from ministack.services import dynamodb

# MiniStack sends the head and the body of its runtime API's answers in two packets; with Nagle's algorithm and delayed
# acknowledgements each invocation then waits 40 ms, twice.
socketserver.StreamRequestHandler.disable_nagle_algorithm = True

# The sequence numbers of a stream never fall, also where the machine's clock is set back.
sequence = itertools.count(int(time.time() * 1000) * 10**10)
dynamodb._next_stream_seq = lambda: f"{next(sequence):030d}"

# While this file exists, DynamoDB refuses writes; the file says which share of them.
SHARE = os.path.join(os.path.dirname(__file__), "throttled-share")
# A byte for each refused write.
REFUSED = os.path.join(os.path.dirname(__file__), "throttled-writes")

WRITES = {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"}

# What DynamoDB answers (AWS, "Error handling with DynamoDB"); both with status 400.
ERRORS = [
    (
        "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
        "The level of configured provisioned throughput for the table was exceeded. "
        "Consider increasing your provisioning level with the UpdateTable API.",
    ),
    (
        "com.amazonaws.dynamodb.v20120810#ThrottlingException",
        "Throughput exceeds the current capacity of your table or index.",
    ),
]

handle_request = dynamodb.handle_request


async def throttle_writes(method, path, headers, body, query_params):
    operation = headers.get("x-amz-target", "").split(".")[-1]
    if operation in WRITES and os.path.exists(SHARE):
        with open(SHARE) as share:
            is_refused = random.random() < float(share.read() or 0)
        if is_refused:
            with open(REFUSED, "a") as refused:
                refused.write(".")
            code, message = random.choice(ERRORS)
            return error_response_json(code, message, 400)
    return await handle_request(method, path, headers, body, query_params)


dynamodb.handle_request = throttle_writes
