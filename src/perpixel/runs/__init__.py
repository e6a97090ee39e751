"""Run directories: started, resumed, loaded, evaluated and used for prediction."""
