// Leases accounts of any system that makes them by `PUT <url>/accounts/<name>`,
// ends them by `DELETE`, and takes a new root token by `PUT <url>/token`. What
// it makes is named and derived from the operation, so that a call which the
// host repeats makes the same again, and a crash at any point leaves nothing
// behind.

import { derive, log } from "lessor:plugin/host@1.0.0";

// JSON Schemas of what goes in and out. `writeOnly` marks a secret.
const text = { type: "string", minLength: 1 };
const secret = { type: "string", minLength: 1, writeOnly: true };
const object = (properties) => ({
  type: "object",
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});

function describe() {
  return {
    name: "accounts-js",
    version: "0.1.0",
    summary: "Accounts over HTTP, in JavaScript",
    configSchema: JSON.stringify(object({ url: text, token: secret })),
    roleSchema: JSON.stringify(object({})),
    requestSchema: JSON.stringify(object({})),
    credentialSchema: JSON.stringify(object({ username: text, password: secret })),
    endpoints: ["{url}"],
    nameLimit: 64,
    revocation: "deletes",
    privileges: [],
    propagationS: 0,
    dialect: [],
  };
}

async function validateConfig(ctx, config) {
  await call(JSON.parse(config), "GET", "/accounts");
  return { identity: undefined, warnings: [] };
}

async function create(ctx, config, role, request, expiresAt) {
  const account = { username: ctx.principalName, password: derivedSecret("password") };
  await call(JSON.parse(config), "PUT", `/accounts/${encodeURIComponent(account.username)}`, {
    password: account.password,
  });
  log("info", "made an account", [["name", account.username]]);
  return {
    id: account.username,
    data: JSON.stringify(account),
    metadata: "{}",
    expiresInS: undefined,
    effectiveInS: undefined,
  };
}

// Where the answer to `create` was lost, the name is the same as then.
async function revoke(ctx, config, role, what) {
  if (what.tag === "former-root") return; // Upstream keeps one token only.
  const name = what.tag === "credential" ? what.val : ctx.principalName;
  try {
    await call(JSON.parse(config), "DELETE", `/accounts/${encodeURIComponent(name)}`);
  } catch (error) {
    if (error.payload?.class !== "not-found") throw error; // Gone is what was asked for.
  }
}

// Upstream keeps one token. Where an earlier attempt has already replaced it,
// the new one, derived again, is what it takes.
async function rotate(ctx, config, what) {
  if (what.tag !== "root") {
    throw failure("unsupported", "no_accounts", "This provider rotates its root token only.");
  }
  const current = JSON.parse(config);
  const next = { ...current, token: derivedSecret("token") };
  try {
    await call(current, "PUT", "/token", { token: next.token });
  } catch (error) {
    if (error.payload?.class !== "denied") throw error;
    await call(next, "GET", "/accounts");
  }
  return { secret: JSON.stringify(next), retires: undefined, metadata: "{}" };
}

export const provider = { describe, validateConfig, create, revoke, rotate };

// 256 bits that only the host can compute, the same for every attempt.
function derivedSecret(label) {
  return Array.from(derive(label, 32), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// One HTTP request to upstream; `fetch` is wasi:http here. Whatever is not a
// success is thrown as the contract's failure.
async function call({ url, token }, method, path, body) {
  let response;
  try {
    response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: body && JSON.stringify(body),
    });
  } catch {
    throw failure("unavailable", "unreachable", `${url} gave no answer.`);
  }
  if (response.ok) return;
  const { status } = response;
  const reason = (await response.text()).slice(0, 200);
  throw failure(
    CLASSES[status] ?? (status >= 500 ? "unavailable" : "internal"),
    `http_${status}`,
    `${method} ${path} answered ${status}: ${reason}`,
  );
}

const CLASSES = {
  400: "invalid-request",
  401: "denied",
  403: "denied",
  404: "not-found",
  409: "conflict",
  429: "rate-limited",
};

// What is thrown with a `payload` is the `err` of the contract's results.
function failure(failureClass, code, message) {
  return Object.assign(new Error(message), {
    payload: { class: failureClass, code, message, retryAfterMs: undefined },
  });
}
