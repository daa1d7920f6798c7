"""Mailchimp Transactional (Mandrill): exports of the activity history."""
