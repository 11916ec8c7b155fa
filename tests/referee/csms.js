// A CSMS made of ocpp-rpc in strict mode: every message is checked by the schemas in both directions.
//
// It speaks lines of JSON. On stdout: {"listening": port}, {"call": action, "payload": …} for each request of the charge
// point, {"answer": id, "result": …} or {"answer": id, "error": …} for each command, {"violation": …} and
// {"bad": …} for whatever breaks a rule. On stdin: {"id": …, "action": …, "payload": …} sends a request;
// {"tags": {"CARD": {"status": …}}} says what is known of cards. The sub-protocol is the argument.
'use strict';

const readline = require('node:readline');
const { RPCServer, createValidator } = require('ocpp-rpc');

const tell = (message) => process.stdout.write(JSON.stringify(message) + '\n');

let client = null;
let transactions = 0;
const tags = {};
const now = () => new Date().toISOString();
const info = (idTag) => ({ idTagInfo: tags[idTag] || { status: 'Accepted' } });

const of16 = {
    BootNotification: () => ({ status: 'Accepted', currentTime: now(), interval: 300 }),
    Heartbeat: () => ({ currentTime: now() }),
    Authorize: (payload) => info(payload.idTag),
    StartTransaction: (payload) => ({ transactionId: ++transactions, ...info(payload.idTag) }),
    StopTransaction: (payload) => (payload.idTag ? info(payload.idTag) : {}),
    DataTransfer: () => ({ status: 'UnknownVendorId' }),
    SignCertificate: () => ({ status: 'Accepted' }),
};

const known = (token) => ({ idTokenInfo: tags[token.idToken] || { status: 'Accepted' } });

const of2 = {
    BootNotification: of16.BootNotification,
    Heartbeat: of16.Heartbeat,
    Authorize: (payload) => known(payload.idToken),
    TransactionEvent: (payload) => (payload.idToken ? known(payload.idToken) : {}),
    DataTransfer: of16.DataTransfer,
    SignCertificate: of16.SignCertificate,
    GetCertificateStatus: () => ({ status: 'Failed' }),
    OpenPeriodicEventStream: () => ({ status: 'Accepted' }),
    PullDynamicScheduleUpdate: () => ({ status: 'Rejected' }),
};

const subprotocol = process.argv[2] || 'ocpp1.6';
const answers = subprotocol === 'ocpp1.6' ? of16 : of2;
// ocpp-rpc 2.2.1 ships the schemas of 2.1 under names by which it does not look for them.
const named = (name) => `urn:${name.replace(/^urn:/, '').replace(/Request$/, '.req').replace(/Response$/, '.conf')}`;
const schemas21 = require('ocpp-rpc/lib/schemas/ocpp2_1.json').map((schema) => ({ ...schema, $id: named(schema.$id) }));
const server = new RPCServer({
    protocols: [subprotocol],
    strictMode: true,
    strictModeValidators: [createValidator('ocpp2.1', schemas21)],
});
server.on('client', (connected) => {
    client = connected;
    client.on('strictValidationFailure', ({ error, method, params, result, outbound }) =>
        tell({ violation: String(error), details: error.details, method, params, result, outbound }));
    client.on('badMessage', ({ buffer, error }) => tell({ bad: String(buffer), error: String(error) }));
    client.handle(({ method, params }) => {
        tell({ call: method, payload: params });
        return answers[method] ? answers[method](params) : {};
    });
});

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
    const order = JSON.parse(line);
    if (order.tags) {
        Object.assign(tags, order.tags);
        return;
    }
    try {
        tell({ answer: order.id, result: await client.call(order.action, order.payload) });
    } catch (error) {
        tell({ answer: order.id, error: String(error), code: error.rpcErrorCode });
    }
}).on('close', () => process.exit(0));

server.listen(0, '127.0.0.1').then((http) => tell({ listening: http.address().port }));
