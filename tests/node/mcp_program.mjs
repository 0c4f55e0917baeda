// An MCP client of the official TypeScript SDK, given nothing but an address.
//
//     node mcp_program.mjs ADDRESS
//
// Says and does what tests/support/mcp_program.py does.
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { auth, UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const address = process.argv[2];
const { version } = JSON.parse(readFileSync(new URL("node_modules/@modelcontextprotocol/sdk/package.json", import.meta.url)));
const tell = (event) => console.log(JSON.stringify(event));

let answered;
const server = createServer((request, response) => {
  const url = new URL(request.url, "http://127.0.0.1");
  response.end("Done");
  if (url.pathname === "/callback") answered(url.searchParams);
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));

const kept = {};
const provider = {
  redirectUrl: `http://127.0.0.1:${server.address().port}/callback`,
  get clientMetadata() {
    return { client_name: `TypeScript ${version}`, redirect_uris: [this.redirectUrl], token_endpoint_auth_method: "none" };
  },
  state: () => (kept.state = crypto.randomUUID()),
  clientInformation: () => kept.client,
  saveClientInformation: (client) => void (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => void (kept.tokens = tokens),
  invalidateCredentials: (which) => ["tokens", "all"].includes(which) && delete kept.tokens,
  saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
  codeVerifier: () => kept.verifier,
  redirectToAuthorization: (url) => tell({ open: String(url) }),
};

async function connected() {
  const client = new Client({ name: "program", version: "1" });
  const transport = new StreamableHTTPClientTransport(new URL(address), { authProvider: provider });
  const coming = new Promise((resolve) => (answered = resolve));
  try {
    await client.connect(transport);
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    const params = await coming;
    if (params.get("state") !== kept.state) throw new Error("another state");
    await transport.finishAuth(params.get("code"));
    return connected();
  }
  return client;
}

const client = await connected();
tell({ tools: (await client.listTools()).tools.map((tool) => tool.name) });
for await (const told of createInterface({ input: process.stdin })) {
  if (told === "end") break;
  try {
    if (told === "renew and call") await auth(provider, { serverUrl: address });
    const result = await client.callTool({ name: "greet", arguments: {} });
    tell({ said: result.content[0].text });
  } catch (error) {
    tell({ failed: String(error) });
  }
}
process.exit(0);
