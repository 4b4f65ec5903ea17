// DigitalOcean's gradient: node gradient.mjs ORIGIN '[{"token", "agent", "query"}]' prints one
// {"value"} or {"error"} for each call.
import Gradient from '@digitalocean/gradient';

const [baseURL, calls] = [process.argv[2], JSON.parse(process.argv[3])];
const answers = [];
for (const { token, agent, query } of calls) {
  const client = new Gradient({ accessToken: token, baseURL, maxRetries: 0 });
  try {
    answers.push({ value: await client.agents.retrieveUsage(agent, query) });
  } catch (e) {
    answers.push({
      error: {
        class: e.constructor.name,
        isAPIError: e instanceof Gradient.APIError,
        status: e.status,
        message: e.message,
        body: e.error,
        requestID: e.headers?.get('x-request-id'),
      },
    });
  }
}
console.log(JSON.stringify(answers));
