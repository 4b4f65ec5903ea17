// Everything behind a slot's number, as /v1/report/slots/{organization}/{meter}/{hour} has it.

import type { Slot } from './slots'

export interface Explanation extends Slot {
  slot: string
  exact: string
  rounded_units: string
  usage: Usage[]
  rates: Rate[]
  events: Entry[]
  more_events: boolean
  revisions: Told[]
  attempts: Attempt[]
  carries: Carry[]
}

export interface Usage {
  usage_type: string
  model: string
  rate_id: string | null
  pricing: 'unpriced' | 'rated' | 'given'
  events: number
  measurements: number
  quantity: string
  billed_cost_usd: string
}

export interface Rate { id: string; billed_usd_per_million: string; provider_usd_per_million: string; from: string }

export interface Entry {
  event_id: string
  revision: number
  reversal: boolean
  time: string
  usage_type: string
  model: string
  quantity: string
  billed_cost_usd: string
}

export interface Told {
  revision: number
  mode: string
  total_units: string
  send_units: string
  identifier: string
  customer: string
  subscription_item: string
  created_at: string
  verdict: string
  attempts: number
  last_at: string | null
}

export interface Attempt {
  revision: number
  verdict: string
  at: string
  http_status: number | null
  request_id: string
  detail: string
}

export interface Carry { from: string; to: string; number: number; units: string; reason: string; created_at: string }
