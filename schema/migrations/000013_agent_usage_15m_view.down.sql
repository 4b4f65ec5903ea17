DROP TABLE IF EXISTS agent_usage_15m_view
