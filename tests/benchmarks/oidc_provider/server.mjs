// oidc-provider, unmodified, with its own memory: private_key_jwt and DPoP with nonces.
// One argument: {"port": …, "clients": [{"client_id": …, "jwks": …}]}
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(process.env.MODULES + "/");
const { Provider } = await import(pathToFileURL(require.resolve("oidc-provider")).href);
const { port, clients, key } = JSON.parse(process.argv[2]);

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: clients.map((each) => ({
    ...each,
    grant_types: ["client_credentials"],
    response_types: [],
    redirect_uris: [],
    token_endpoint_auth_method: "private_key_jwt",
    token_endpoint_auth_signing_alg: "ES256",
    id_token_signed_response_alg: "ES256",
    dpop_bound_access_tokens: true,
  })),
  clientAuthMethods: ["private_key_jwt"],
  scopes: ["catalog"],
  jwks: { keys: [key] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    // A token for a named resource is a signed JWT, as ours are; any other is a word of its memory.
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      getResourceServerInfo: (_ctx, audience) => ({
        scope: "catalog",
        audience,
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: "ES256" } },
      }),
    },
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
  },
});
provider.listen(port, "127.0.0.1", () => console.log("listening"));
