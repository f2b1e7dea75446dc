// A provider whose password comes from the language's own generator. With an
// engine that seeds it at the build and never again, every instance gives the same
// password: what `lessor plugin check` must find out.

const schema = (properties) =>
  JSON.stringify({ type: "object", properties, required: Object.keys(properties) });

const letter = () => Math.floor(Math.random() * 36).toString(36);

export const provider = {
  describe: () => ({
    name: "frozen",
    version: "0.1.0",
    summary: "Passwords by Math.random()",
    configSchema: schema({}),
    roleSchema: schema({}),
    requestSchema: schema({}),
    credentialSchema: schema({ password: { type: "string", writeOnly: true } }),
    endpoints: [],
    nameLimit: 0,
    revocation: "expires-only",
    privileges: [],
    propagationS: 0,
    dialect: [],
  }),
  validateConfig: () => ({ identity: undefined, warnings: [] }),
  create: (ctx) => ({
    id: ctx.principalName,
    data: JSON.stringify({ password: Array.from({ length: 32 }, letter).join("") }),
    metadata: "{}",
    expiresInS: undefined,
    effectiveInS: undefined,
  }),
  revoke: () => {},
  rotate: () => {
    const payload = { class: "unsupported", code: "none", message: "none", retryAfterMs: undefined };
    throw Object.assign(new Error("none"), { payload });
  },
};
