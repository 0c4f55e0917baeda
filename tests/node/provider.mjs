// oidc-provider, which is certified by the OpenID Foundation, at http://localhost:PORT.
//
//     node provider.mjs PORT CLIENTS
//
// CLIENTS: JSON, an array of client metadata. Whoever types a name is that person, with an e-mail address at example.com.
import { Provider } from "oidc-provider";

const [port, clients] = process.argv.slice(2);

function findAccount(_, name) {
  const claims = { sub: name, name: `${name} of localhost`, email: `${name}@example.com`, email_verified: true };
  return { accountId: name, claims: () => claims };
}

const provider = new Provider(`http://localhost:${port}`, {
  clients: JSON.parse(clients),
  findAccount,
  claims: { openid: ["sub"], profile: ["name"], email: ["email", "email_verified"] },
  features: { backchannelLogout: { enabled: true } },
  // Without the dispatcher that it comes with, which reaches nothing on this machine: the app's logout address is here.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
});
provider.on("server_error", (_, error) => console.error(error));
provider.on("backchannel.error", (_, error) => console.error(error));
provider.listen(Number(port), "localhost");
