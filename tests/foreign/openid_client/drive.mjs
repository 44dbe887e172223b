// openid-client, unmodified, doing one step for each line of JSON that it reads.
//
//     node drive.mjs FOLDER    FOLDER holds node_modules
//
// A line {"do": NAME, …} is answered by one line: what the library returned, or
// {"failed": {…}} with what it threw.
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const from = createRequire(join(process.argv[2], "package.json"));
const oauth = await import(pathToFileURL(from.resolve("openid-client")));

const KEYS = {
  ES256: { name: "ECDSA", namedCurve: "P-256" },
  PS256: { name: "RSA-PSS", hash: "SHA-256" },
  Ed25519: { name: "Ed25519" },
};
let config, dpop;

const steps = {
  // Find the server by its issuer; authenticate by `key`, a private JWK, or by `secret`.
  async discover({ issuer, client_id, alg, key, secret, dpop_alg, method }) {
    const auth = key ? await signing(key, alg) : oauth[method](secret);
    config = await oauth.discovery(new URL(issuer), client_id, undefined, auth, {
      algorithm: "oauth2",
      execute: [oauth.allowInsecureRequests], // plain http, on loopback
    });
    dpop = dpop_alg && oauth.getDPoPHandle(config, await oauth.randomDPoPKeyPair(dpop_alg));
    return config.serverMetadata();
  },

  // Register by an invitation, and be what was registered from then on.
  async register({ issuer, invitation, metadata, key, alg }) {
    const server = new URL(issuer);
    config = await oauth.dynamicClientRegistration(server, metadata, await signing(key, alg), {
      algorithm: "oauth2",
      execute: [oauth.allowInsecureRequests],
      initialAccessToken: invitation,
    });
    return config.clientMetadata();
  },

  async introspect({ token }) {
    return await oauth.tokenIntrospection(config, token);
  },

  async revoke({ token }) {
    await oauth.tokenRevocation(config, token);
    return {};
  },

  // Client credentials; `authorization_details` are given as JSON, as RFC 9396 has them sent.
  async token({ parameters }) {
    return await oauth.clientCredentialsGrant(config, parameters, { DPoP: dpop });
  },

  // Show a token to a resource.
  async show({ token, url, method = "GET" }) {
    const answer = await oauth.fetchProtectedResource(
      config, token, new URL(url), method, undefined, undefined, { DPoP: dpop },
    );
    return { status: answer.status, text: await answer.text() };
  },
};

async function signing({ kid, alg: _, use: __, ...jwk }, alg) {
  const key = await crypto.subtle.importKey("jwk", jwk, KEYS[alg], false, ["sign"]);
  return oauth.PrivateKeyJwt({ key, kid });
}

function thrown(error) {
  const { name, code, error: oauth_error, status, cause, message } = error;
  const headers = error.response ? Object.fromEntries(error.response.headers) : undefined;
  return { name, code, error: oauth_error, status, message, body: cause, headers };
}

for await (const line of createInterface({ input: process.stdin })) {
  const { do: name, ...given } = JSON.parse(line);
  let told;
  try {
    told = await steps[name](given);
  } catch (error) {
    told = { failed: thrown(error) };
  }
  console.log(JSON.stringify(told));
}
