package main

import "fmt"

// How long prompts and answers are: the 0th, 1/64th, … quantiles of two production services, one
// that chats and one that completes code; the last is the 999th thousandth. Drawn from the Azure
// LLM inference trace 2023 (Azure/AzurePublicDataset, CC-BY 4.0): P. Patel, E. Choukse, C. Zhang,
// A. Shah, Í. Goiri, S. Maleki, R. Bianchini, "Splitwise: Efficient generative LLM inference using
// phase splitting", ISCA 2024.
var (
	chatInputs = []int{
		2, 64, 165, 181, 194, 200, 206, 212, 235, 321, 374, 378, 383, 388, 391, 394, 396, 398, 401,
		403, 405, 408, 412, 419, 428, 459, 818, 910, 966, 986, 1001, 1011, 1020, 1028, 1037, 1044,
		1052, 1059, 1067, 1075, 1083, 1092, 1100, 1110, 1120, 1133, 1147, 1164, 1189, 1233, 1312,
		1315, 1335, 1479, 1766, 2019, 2309, 2584, 3018, 4074, 4079, 4084, 4089, 4107, 6212,
	}
	chatOutputs = []int{
		7, 18, 33, 40, 45, 49, 53, 56, 60, 64, 68, 72, 75, 78, 81, 83, 85, 87, 89, 90, 92, 94, 95, 97,
		99, 101, 104, 107, 110, 114, 118, 123, 129, 135, 141, 149, 157, 163, 171, 181, 195, 217, 223,
		373, 377, 385, 389, 393, 395, 396, 397, 399, 402, 407, 411, 414, 416, 420, 427, 429, 440, 456,
		502, 568, 954,
	}
	codeInputs = []int{
		3, 26, 51, 71, 90, 106, 137, 161, 185, 209, 246, 291, 348, 392, 462, 518, 578, 629, 700, 762,
		825, 875, 915, 967, 1016, 1050, 1093, 1139, 1196, 1269, 1342, 1391, 1469, 1538, 1605, 1673,
		1734, 1813, 1885, 1960, 2048, 2129, 2195, 2294, 2371, 2444, 2539, 2644, 2745, 2850, 2982,
		3154, 3330, 3569, 3775, 4102, 4434, 4769, 5510, 6040, 6499, 7408, 7435, 7436, 7437,
	}
	codeOutputs = []int{
		6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 8, 8, 8, 8, 9, 9, 9, 9, 9, 9, 10, 10, 10, 10, 11, 11, 11, 12,
		12, 12, 12, 13, 13, 13, 14, 14, 15, 15, 15, 16, 16, 17, 18, 19, 19, 20, 21, 22, 24, 25, 27,
		29, 31, 34, 37, 42, 46, 52, 58, 66, 77, 94, 126, 196, 831,
	}
)

// The kinds of measurements, as fill.sql numbers them.
const (
	fillInput = 1 + iota
	fillOutput
	fillCached
	_ // UNITS, whose cost is given
	fillSeconds
	fillKinds = 8
)

// A fillModel is a model and its list prices, in millionths of a millionth of a dollar: 1,000,000
// is one dollar a million. A kind without a price stays unpriced.
type fillModel struct {
	name, provider, endpoint string
	prices                   [fillKinds]int
}

const (
	fillOpenAI    = "https://api.openai.com/v1"
	fillAnthropic = "https://api.anthropic.com/v1"
	fillMistral   = "https://api.mistral.ai/v1"
)

// spokenModel is what transcribes, the first of the models.
const spokenModel = 0

// fillModels returns so many models, the most used first but for the one that transcribes; the last
// has no rate.
func fillModels(count int) []fillModel {
	known := []fillModel{
		{"whisper-1", "OpenAI", fillOpenAI, [fillKinds]int{fillSeconds: 100_000_000}},
		{"gpt-4o-mini", "OpenAI", fillOpenAI, tokenPrices(150_000, 600_000, 75_000)},
		{"gpt-4o", "OpenAI", fillOpenAI, tokenPrices(2_500_000, 10_000_000, 1_250_000)},
		{"claude-sonnet-4", "Anthropic", fillAnthropic,
			tokenPrices(3_000_000, 15_000_000, 300_000)},
		{"gpt-4.1-mini", "OpenAI", fillOpenAI, tokenPrices(400_000, 1_600_000, 100_000)},
		{"claude-3-5-haiku", "Anthropic", fillAnthropic, tokenPrices(800_000, 4_000_000, 80_000)},
		{"mistral-large", "Mistral", fillMistral, tokenPrices(2_000_000, 6_000_000, 200_000)},
		{"gpt-4.1", "OpenAI", fillOpenAI, tokenPrices(2_000_000, 8_000_000, 500_000)},
		{"o4-mini", "OpenAI", fillOpenAI, tokenPrices(1_100_000, 4_400_000, 275_000)},
		{"mistral-small", "Mistral", fillMistral, tokenPrices(100_000, 300_000, 10_000)},
	}
	models := make([]fillModel, count)
	for i := range models {
		models[i] = known[min(i, 1+i%(len(known)-1))]
		if i >= len(known) {
			models[i].name = fmt.Sprintf("%s-%d", models[i].name, i/(len(known)-1)+1)
		}
	}
	models[count-1].name = "house-model"
	models[count-1].provider, models[count-1].endpoint = "self-hosted", ""
	models[count-1].prices = [fillKinds]int{}
	return models
}

func tokenPrices(input, output, cached int) [fillKinds]int {
	return [fillKinds]int{fillInput: input, fillOutput: output, fillCached: cached}
}
