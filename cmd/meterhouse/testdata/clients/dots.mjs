// DigitalOcean's dots (Kiota): node dots.mjs ORIGIN '[{"token", "agent", "query"}]' prints one
// {"value"} or {"error"} for each call.
import {
  createDigitalOceanClient,
  DigitalOceanApiKeyAuthenticationProvider,
} from '@digitalocean/dots';
import { FetchRequestAdapter } from '@microsoft/kiota-http-fetchlibrary';

const [origin, calls] = [process.argv[2], JSON.parse(process.argv[3])];

// JSON would write a Date as text, and what was a number or text stays to be seen.
function usageOf({ measurements, resourceUuid, start, stop }) {
  const date = (d) => (d instanceof Date ? d.toISOString() : `no Date but ${typeof d}`);
  return {
    measurements: measurements.map(({ tokens, usageType }) => ({
      tokens: typeof tokens === 'number' ? tokens : `no number but ${typeof tokens}`,
      usageType,
    })),
    resourceUuid,
    start: date(start),
    stop: date(stop),
  };
}

const answers = [];
for (const { token, agent, query } of calls) {
  const adapter = new FetchRequestAdapter(new DigitalOceanApiKeyAuthenticationProvider(token));
  adapter.baseUrl = origin;
  const client = createDigitalOceanClient(adapter);
  try {
    const got = await client.v2.genAi.agents
      .byAgent_uuId(agent)
      .usage.get(query && { queryParameters: query });
    answers.push({
      value: { usage: usageOf(got.usage), logInsightsUsage: usageOf(got.logInsightsUsage) },
    });
  } catch (e) {
    answers.push({
      error: {
        class: e.constructor.name,
        responseStatusCode: e.responseStatusCode,
        id: e.id,
        messageEscaped: e.messageEscaped,
        requestId: e.requestId,
        requestIdHeader: e.responseHeaders?.['x-request-id'],
      },
    });
  }
}
console.log(JSON.stringify(answers));
