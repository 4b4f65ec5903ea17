DROP TABLE IF EXISTS text_model_costs
